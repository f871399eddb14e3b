"""A configuration as JSON and back, and the hash that identifies a trained model."""

import ast
import dataclasses
import hashlib
import json
import typing
from pathlib import Path
from typing import Any

from vaejax.data import is_own_file
from vaejax.errors import SettingError, UserError
from vaejax.experiment.configuration import Config
from vaejax.experiment.files import ExperimentFile


def to_json(config: Config) -> dict[str, Any]:
    """A configuration as nested dictionaries, lists and numbers."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_json(kind: type, values: dict[str, Any]) -> Any:
    """Make a configuration dataclass from the output of `to_json`, perhaps of an earlier version.

    A field that is missing there takes its default. So a new field needs a default that means
    what was done before it existed. `vaejax evaluate`, `gaps`, `report` and others read earlier
    runs in this way; `vaejax run` trains again, since the new field changes `identity`.

    Raises:
      UserError: an unknown field, or a missing field without a default.
    """
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    names = {field.name for field in fields}
    required = {
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if not isinstance(values, dict) or not required <= set(values) <= names:
        raise UserError(
            f"the saved configuration of {kind.__name__} has fields "
            f"{sorted(values) if isinstance(values, dict) else values}; expected {sorted(names)}: "
            "another version of the experiment made it; train again"
        )
    converted = {}
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            try:
                value = from_json(hints[name], value)
            except SettingError as error:
                raise error.within(name) from None
        elif isinstance(value, list):
            value = tuple(value)
        converted[name] = value
    try:
        return kind(**converted)
    except TypeError as error:
        raise UserError(f"the saved configuration is damaged ({error}): train again") from None


def identity(file: ExperimentFile, config: Config, fingerprint: str) -> str:
    """The hash of a trained model: eight hex digits of its configuration without `evaluate`, and of
    the code of the experiment and its modules without the docstrings of the files. A person's own
    data file counts by its fingerprint, not by its path."""
    trained = {k: v for k, v in to_json(config).items() if k != "evaluate"}
    if is_own_file(config.data.name):
        trained["data"] |= {"name": fingerprint}
    beside = {name: _code(path) for name, path in file.modules.items()}
    parts = [file.name, trained, _code(file.path), *([beside] if beside else [])]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def _code(path: Path) -> str:
    """The syntax tree of a file without its docstring."""
    tree = ast.parse(path.read_bytes())
    if ast.get_docstring(tree) is not None:
        tree.body = tree.body[1:]
    return ast.dump(tree)
