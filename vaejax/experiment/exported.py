"""A run as a folder to share: parameters as safetensors, configuration, code and measurements.

parameters.safetensors  export.json (its format, digests of the model and its evaluation)  README.md
config.json  experiment.py  modules/  data.json  manifest.json  metrics.jsonl
evaluation.json  evaluation.npz  a folder of each other measurement  figures/  report.html
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import safetensors.numpy

from vaejax import __version__
from vaejax.data import is_own_file
from vaejax.errors import UserError
from vaejax.evaluation import MEASUREMENTS, Run
from vaejax.run_directory import EXPORT, RunDirectory
from vaejax.training.checkpoint import Checkpoints
from vaejax.training.named_arrays import by_name, in_structure, stored
from vaejax.types import Params

FORMAT = 1
PARAMETERS = "parameters.safetensors"

_MODEL = ("config.json", "experiment.py", "data.json")
_MEASURED = ("manifest.json", "metrics.jsonl", "evaluation.json", "evaluation.npz")


def export(run: Run, folder: Path) -> RunDirectory:
    """Write a run, perhaps an exported one, into a new folder.

    The folder has no optimizer state, so training cannot continue from it. Paths in the command
    and in the data setting are cut to their last part: they are private.

    Raises:
      UserError: the folder exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not empty: give another --out, or delete it")
    beside = folder.resolve().with_name(f".{folder.resolve().name}.{os.getpid()}")
    try:
        _write(run, RunDirectory(beside))
        beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return RunDirectory(folder)


def check_export(directory: RunDirectory) -> None:
    """Raise UserError if an exported folder has another format, if a file of its model is missing,
    or if a file of its model or evaluation is changed. Measurements made after the export are not
    checked."""
    for name, digest in _about(directory)["sha256"].items():
        path = directory.file(name)
        if not path.is_file() and name in _MEASURED:
            continue
        if not path.is_file() or _sha256(path) != digest:
            what = "differs from the exported file" if path.is_file() else "is missing"
            raise UserError(f"{path} {what}: copy the exported folder again")


def restore_exported(directory: RunDirectory, shapes: Params) -> tuple[Params, int, str]:
    """(parameters, their step, which ones: best by validation or last) of an exported run."""
    about, path = _about(directory), directory.file(PARAMETERS)
    arrays = safetensors.numpy.load_file(path)
    return in_structure(shapes, arrays, str(path)), about["step"], about["chosen"]


def trained_steps(directory: RunDirectory) -> int:
    """The number of training steps that a run has made."""
    if directory.is_exported():
        return _about(directory)["trained_steps"]
    return Checkpoints(directory.file("checkpoints")).latest_step() or 0


def _about(directory: RunDirectory) -> dict[str, Any]:
    """The content of export.json; UserError if its format is not the one of this version."""
    about = directory.read_json(EXPORT, "format", "vaejax")
    if about["format"] != FORMAT:
        raise UserError(
            f"{directory.path} was exported in format {about['format']} by vaejax "
            f"{about['vaejax']}; this is vaejax {__version__}, which reads format {FORMAT}: "
            "install that version"
        )
    return directory.read_json(EXPORT, "run", "step", "chosen", "trained_steps", "sha256")


def _write(run: Run, target: RunDirectory) -> None:
    source = run.directory
    folders = ("modules", *(m.name for m in MEASUREMENTS.values()))
    target.path.mkdir(parents=True)
    for name in (*_MODEL, *_MEASURED):
        if source.file(name).exists():
            shutil.copyfile(source.file(name), target.file(name))
    for name in folders:
        if source.file(name).exists():
            ignore = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(source.file(name), target.file(name), ignore=ignore)
    _without_folders(target)
    arrays = jax.tree.map(stored, run.params)
    # `save_file` would make a file that only its owner can read, whatever the umask.
    target.file(PARAMETERS).write_bytes(safetensors.numpy.save(by_name(arrays)))
    modules = [path for path in target.file("modules").rglob("*") if path.is_file()]
    measured = [target.file(name) for name in _MEASURED if target.file(name).exists()]
    files = [target.file(name) for name in (PARAMETERS, *_MODEL)] + sorted(modules) + measured
    about = {
        "format": FORMAT,
        "vaejax": __version__,
        "run": source.name,
        "chosen": run.chosen,
        "step": run.step,
        "trained_steps": trained_steps(source),
        "total_steps": run.config.train.total_steps(run.data.num_train),
        "parameters": {
            part: sum(leaf.size for leaf in jax.tree.leaves(tree))
            for part, tree in arrays._asdict().items()
        },
        "sha256": {str(path.relative_to(target.path)): _sha256(path) for path in files},
    }
    target.write_json(EXPORT, about)


def _without_folders(target: RunDirectory) -> None:
    """Cut the paths in the configuration and in the command to their last part."""
    config = target.read_json("config.json")
    _without_folder_of_data(config["config"])
    target.write_json("config.json", config)
    if target.file("manifest.json").exists():
        manifest = target.read_json("manifest.json")
        manifest["command"] = [_without_folder(word) for word in manifest.get("command", [])]
        _without_folder_of_data(manifest.get("experiment_settings"))
        target.write_json("manifest.json", manifest)


def _without_folder_of_data(settings: dict[str, Any] | None) -> None:
    if settings and is_own_file(settings["data"]["name"]):
        settings["data"]["name"] = Path(settings["data"]["name"]).name


def _without_folder(word: str) -> str:
    """A word of a command, with a path, also in --option=path, cut to its last part."""
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    return f"{option}{equals}{Path(value).name}" if os.sep in value else word


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
