"""A person's own examples, made what a run's model takes: as the data of its training were."""

from pathlib import Path
from typing import Any

import numpy as np

from vaejax.data import Dataset, DataSummary
from vaejax.data.arrays import read
from vaejax.errors import UserError
from vaejax.types import Conditions, Example


def own_examples(path: Path, data: DataSummary) -> tuple[Example, str]:
    """The examples of an `.npy`, or of an `.npz` with one array; of sequences of an `.npz` with x
    and length, and perhaps actions. And what was done to their values, in words.

    Raises:
      UserError: a file that cannot be read or has other arrays; values of another range.
    """
    entries = read(path)
    if data.is_sequence:
        return _sequences(path, entries, data), "taken as they are"
    if len(entries) != 1:
        raise UserError(
            f"{path}: expected one array of examples; found {', '.join(sorted(entries)) or 'none'}"
            ": save the one to be used alone"
        )
    (values,) = entries.values()
    if getattr(values, "dtype", np.dtype("S")).kind not in "biuf" or values.size == 0:
        raise UserError(f"{path}: expected examples, an array of numbers; got {_words(values)}")
    try:
        return _prepared(values, data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _prepared(values: np.ndarray, data: DataSummary) -> tuple[Example, str]:
    if data.levels is None:
        return Example(values), "taken as they are"
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= data.levels:
        wanted = "from 0 to 1" if data.levels == 1 else f"0..{data.levels:g}, or from 0 to 1"
        raise UserError(
            f"the data of this run have values {wanted}; got values from {low:g} to {high:g}: "
            "give yours in the same units"
        )
    if data.binarization == "static":
        return Example(values), "taken as they are"
    levels = data.levels if high > 1 else 1.0
    fraction = "the value" if levels == 1 else f"value / {levels:g}"
    stored = values.astype(np.float32)
    dataset = Dataset("", stored[:0], stored[:0], stored, levels, data.binarization)
    done = {
        "none": f"x = {fraction}",
        "threshold": f"x = 1 where {fraction} is above 1/2, else 0",
        "dynamic": f"x drawn as 1 with probability {fraction}, else 0, the same in every call",
    }[data.binarization]
    return Example(dataset.split("test")), done


def _sequences(path: Path, entries: dict[str, np.ndarray], data: DataSummary) -> Example:
    assert data.sequence is not None
    names = {"x", "length"} | ({"actions"} if data.sequence.num_actions else set())
    if not names <= set(entries):
        raise UserError(
            f"{path}: the data of this run are sequences: expected arrays "
            f"{', '.join(sorted(names))}; found {', '.join(sorted(entries))}"
        )
    x, length = entries["x"], entries["length"]
    for name in names:
        if getattr(entries[name], "dtype", np.dtype("S")).kind not in "biuf":
            raise UserError(f"{path}[{name}]: expected numbers; got {_words(entries[name])}")
    time = x.shape[1] if x.ndim > 1 else 0
    if length.shape != x.shape[:1] or length.dtype.kind not in "iu":
        raise UserError(
            f"{path}[length]: expected a whole number for each of the {len(x)} sequences; got "
            f"{_words(length)}"
        )
    if len(x) and not (1 <= length.min() and length.max() <= time):
        raise UserError(
            f"{path}[length]: expected lengths from 1 to {time}, the frames that x has room for; "
            f"got {length.min()} to {length.max()}"
        )
    if data.num_categories is not None and x.dtype.kind == "f":
        x = np.where(np.isnan(x), -1, x)
    exists: Any = np.arange(time) < length[:, None]
    actions: Any = ()
    if "actions" in names:
        actions = entries["actions"].astype(np.float32)
        actions = actions[..., None] if actions.ndim == 2 else actions
    return Example(x, Conditions(exists, actions))


def _words(values: Any) -> str:
    if not isinstance(values, np.ndarray):
        return "bytes"
    return f"{values.dtype} of shape {values.shape}"
