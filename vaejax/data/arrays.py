"""A person's own arrays, from `.npz` or `.npy`; nothing in a file is ever executed."""

from pathlib import Path

import numpy as np

from vaejax.data.dataset import Binarization, Dataset, held_out
from vaejax.errors import UserError


def load(path: Path, binarization: Binarization | None, validation: int | None) -> Dataset:
    """`.npz` with `train`, `test` and perhaps `validation` (by default the last tenth of `train`);
    or one array (`.npy`, or the only entry of an `.npz`, under any other name), of which a fixed
    shuffle gives 80 % train, 10 % validation, 10 % test.

    Arrays are (n, ...), with shapes that agree after the first axis. Values: 0/1; whole numbers
    0..255 (intensity = value / 255); fractions in [0, 1] (intensities); or any real numbers, for a
    Gaussian likelihood.

    Raises:
      UserError: no such file, or one that cannot be used: it says why.
    """
    splits, tenth = _splits(path)
    train, test = splits["train"], splits["test"]
    if "validation" in splits:
        held = splits["validation"]
        if validation is not None and validation != len(held):
            raise UserError(
                f"{path} has its own validation split of {len(held)} examples; got "
                f"--data.validation {validation}: leave it out"
            )
    else:
        cut = held_out(len(train), tenth if validation is None else validation)
        train, held = train[:cut], train[cut:]
    for name, split in (("validation", held), ("test", test)):
        if split.shape[1:] != train.shape[1:]:
            raise UserError(
                f"{path}: train has examples of shape {train.shape[1:]}, {name} of "
                f"{split.shape[1:]}: they must agree"
            )
    levels, dtype = _scale(np.concatenate([s.reshape(-1) for s in (train, held, test)]))
    if binarization is None:
        binarization = "static" if levels == 1 and dtype == np.uint8 else "dynamic"
        binarization = "none" if levels is None else binarization
    train, held, test = (s.astype(dtype) for s in (train, held, test))
    return Dataset(path.stem, train, held, test, levels, binarization)


def _splits(path: Path) -> tuple[dict[str, np.ndarray], int]:
    """The arrays by split, and how many examples a tenth is."""
    entries = _read(path)
    single = len(entries) == 1 and not set(entries) <= {"train", "validation", "test"}
    if not single and not {"train", "test"} <= set(entries) <= {"train", "validation", "test"}:
        raise UserError(
            f"{path}: expected arrays named train, test and perhaps validation, or a single "
            f"array of another name; found {', '.join(sorted(entries)) or 'none'}"
        )
    for name, array in entries.items():
        _check(array, f"{path}[{name}]")
    if not single:
        return entries, len(entries["train"]) // 10
    (array,) = entries.values()
    if len(array) < 10:
        raise UserError(f"{path}: expected at least 10 examples to split; got {len(array)}")
    array = array[np.random.RandomState(0).permutation(len(array))]
    tenth = len(array) // 10
    return {"train": array[:-tenth], "test": array[-tenth:]}, tenth


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError(f"no data file {path}: expected an existing .npz or .npy file")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"array": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except Exception as error:  # a damaged file raises anything
        reason = " ".join(str(error).split()) or type(error).__name__
        if "allow_pickle" in reason:
            reason = "it is no plain NumPy file, and Python objects are not loaded"
        raise UserError(
            f"cannot read {path}: {reason}; save plain numeric arrays with numpy.savez"
        ) from None


def _check(array: np.ndarray, what: str) -> None:
    dtype = getattr(array, "dtype", "bytes")  # what is no array in an .npz comes as bytes
    if getattr(dtype, "kind", "none") not in "biuf":
        raise UserError(f"{what}: expected real numbers; got dtype {dtype}: convert them")
    if array.ndim < 2:
        looks = "; it looks like labels" if np.issubdtype(dtype, np.integer) else ""
        raise UserError(
            f"{what}: expected examples along the first axis and at least one more axis; got "
            f"shape {array.shape}{looks}: give the images or feature vectors"
        )
    if array.size == 0:
        raise UserError(
            f"{what}: expected at least one example of at least one value; got shape "
            f"{array.shape}: leave it out or fill it"
        )
    with np.errstate(over="ignore"):
        finite = np.isfinite(array.astype(np.float32)).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{what}: {np.sum(~finite)} of {len(array)} examples have values that are NaN or "
            f"infinite in float32, first at index {int(np.argmin(finite))}: remove or fill them"
        )


def _scale(values: np.ndarray) -> tuple[float | None, type]:
    """(levels, dtype to store): see `Dataset.levels`."""
    low, high = values.min(), values.max()
    whole = low >= 0 and (values == np.round(values)).all()
    if whole and high <= 1:
        return 1, np.uint8
    if whole and 128 <= high <= 255:  # eight bits, all of them in use
        return 255, np.uint8
    if whole and high < 128:
        raise UserError(
            f"whole numbers from {low:g} to {high:g}: intensities go up to 255 (as fractions, to "
            "1), so their scale is not known; divide by the value that means full intensity, "
            "or, if they are no intensities, standardize them to real values"
        )
    if low >= 0 and high <= 1:
        return 1.0, np.float32
    return None, np.float32
