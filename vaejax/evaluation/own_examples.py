"""A person's own examples, prepared for the model of a run as its training data were."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaejax.data import Dataset, DataSummary, own_images
from vaejax.data.arrays import check_numbers, read
from vaejax.errors import UserError
from vaejax.types import Conditions, Example


class OwnExamples(NamedTuple):
    """Examples; in words how their values were read; for images the file name of each."""

    examples: Example
    done: str
    files: list[str] | None = None


def own_examples(path: Path, data: DataSummary, split: str = "test") -> OwnExamples:
    """Read the examples of a file or a folder.

    A folder holds PNG or JPEG images, which are taken in the order of their file names. A file is
    an `.npy`, or an `.npz` with one array or one array for each split; labels are ignored.
    Sequences are an `.npz` with x, length and perhaps actions. Whole numbers are in the units of
    the training data. Booleans, and floats from 0 to 1, are fractions of full intensity.

    Raises:
      UserError: the file cannot be read or has other arrays; values are out of range; or they are
        whole numbers 0 and 1 where the training data were binarized from larger ones.
    """
    if path.is_dir() and not data.is_sequence:
        images, files, changes = own_images.read_split(path, split)
        examples, done = _of_array(path, images, data)
        return OwnExamples(examples, f"{done}; {changes}" if changes else done, files)
    entries = read(path)
    if data.is_sequence:
        sequences = _sequences(path, _of_one(entries, split), data)
        return OwnExamples(sequences, "taken as they are")
    return OwnExamples(*_of_array(path, _of_split(path, entries, split), data))


def _of_array(path: Path, values: np.ndarray, data: DataSummary) -> tuple[Example, str]:
    check_numbers(values, str(path))
    if values.size == 0:
        raise UserError(f"{path}: expected at least one example; got shape {values.shape}")
    try:
        return prepared(values, data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def prepared(values: np.ndarray, data: DataSummary) -> tuple[Example, str]:
    """(examples of an array as they were made of the training data, how, in words).

    Raises:
      UserError: as `own_examples`.
    """
    if data.levels is None:
        return Example(values), "taken as they are"
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= data.levels:
        wanted = "from 0 to 1" if data.levels == 1 else f"0..{data.levels:g}, or from 0 to 1"
        raise UserError(
            f"expected values {wanted}, as in the data of this run; got values from {low:g} to "
            f"{high:g}: give yours in the same units"
        )
    if data.binarization == "static":
        return Example(values), "taken as they are"
    levels = _levels(values.dtype, high, data)
    fraction = "the value" if levels == 1 else f"value / {levels:g}"
    stored = values.astype(np.float32)
    dataset = Dataset("", stored[:0], stored[:0], stored, levels, data.binarization)
    done = {
        "none": f"x = {fraction}",
        "threshold": f"x = 1 where {fraction} is above 1/2, else 0",
        "dynamic": f"x drawn as 1 with probability {fraction}, else 0, the same in every call",
    }[data.binarization]
    if levels == 1 and np.isin(values, (0, 1)).all():
        done = "values 0 and 1, taken as they are"
    return Example(dataset.split("test")), done


def _of_split(path: Path, entries: dict[str, np.ndarray], split: str) -> np.ndarray:
    own = [name for name in entries if name != "label" and not name.endswith("_label")]
    if len(own) != 1 and split not in own:
        raise UserError(
            f"{path}: expected one array of examples, or one named {split}; found "
            f"{', '.join(sorted(entries)) or 'none'}: give --split with one of these names, or "
            "save one array alone"
        )
    return entries[own[0] if len(own) == 1 else split]


def _levels(dtype: np.dtype, high: float, data: DataSummary) -> float:
    """The value that means full intensity. It is not inferred from the largest whole number: then
    an image would get another x next to a brighter image."""
    assert data.levels is not None
    if dtype.kind == "b" or (dtype.kind == "f" and high <= 1):
        return 1.0
    if high == 1 < data.levels and data.binarization != "none":
        raise UserError(
            f"expected whole numbers 0..{data.levels:g}, which are then binarized, as in the data "
            "of this run; got only 0 and 1: save binary x as booleans, or intensities as fractions"
        )
    return data.levels


def _of_one(entries: dict[str, np.ndarray], split: str) -> dict[str, np.ndarray]:
    """The arrays x, length and actions; of the given split, if the file has splits."""
    if split not in entries:
        return entries
    prefix = f"{split}_"
    named = {name.removeprefix(prefix): a for name, a in entries.items() if name.startswith(prefix)}
    return named | {"x": entries[split]}


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
        check_numbers(entries[name], f"{path}[{name}]")
    time = x.shape[1] if x.ndim > 1 else 0
    if length.shape != x.shape[:1] or length.dtype.kind not in "iu":
        raise UserError(
            f"{path}[length]: expected a whole number for each of the {len(x)} sequences; got "
            f"{length.dtype} of shape {length.shape}"
        )
    if len(x) and not (1 <= length.min() and length.max() <= time):
        raise UserError(
            f"{path}[length]: expected lengths from 1 to {time}, the number of frames in x; got "
            f"{length.min()} to {length.max()}: correct them"
        )
    if data.num_categories is not None and x.dtype.kind == "f":
        x = np.where(np.isnan(x), -1, x)
    exists: Any = np.arange(time) < length[:, None]
    actions: Any = ()
    if "actions" in names:
        actions = entries["actions"].astype(np.float32)
        actions = actions[..., None] if actions.ndim == 2 else actions
    return Example(x, Conditions(exists, actions))
