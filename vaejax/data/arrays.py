"""A person's own arrays, from `.npz` or `.npy`; nothing in a file is ever executed."""

import zipfile
from pathlib import Path

import numpy as np

from vaejax.data.dataset import Binarization, Dataset
from vaejax.errors import UserError


def load(path: Path, binarization: Binarization | None, validation: int | None) -> Dataset:
    """`.npz` with `train`, `test` and perhaps `validation`; or one array (`.npy`, or the only
    entry of an `.npz`), of which a fixed shuffle gives 80 % train, 10 % validation, 10 % test.

    Values: 0/1; whole numbers 0..255 (intensity = value / 255); fractions in [0, 1]
    (intensities); or any real numbers, for a Gaussian likelihood.
    """
    entries = {k: _checked(v, f"{path.name}[{k}]") for k, v in _read(path).items()}
    if set(entries) - {"train", "validation", "test"}:
        if len(entries) != 1:
            raise UserError(
                f"{path}: expected arrays named train, test and perhaps validation, or a single "
                f"array; found {', '.join(sorted(entries))}"
            )
        entries = _divide(next(iter(entries.values())), path)
    if not {"train", "test"} <= set(entries):
        raise UserError(f"{path}: expected arrays train and test; found {', '.join(entries)}")
    train, test = entries["train"], entries["test"]
    if "validation" in entries:
        held = entries["validation"]
        if validation is not None and validation != len(held):
            raise UserError(
                f"{path} has its own validation split of {len(held)}; drop --data.validation"
            )
    else:
        validation = len(train) // 10 if validation is None else validation
        if not 0 <= validation < len(train):
            raise UserError(
                f"--data.validation must be from 0 to {len(train) - 1}; got {validation}"
            )
        train, held = train[: len(train) - validation], train[len(train) - validation :]
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


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError(f"no data file {path}: expected an existing .npz or .npy file")
    try:
        with np.load(path, allow_pickle=False) if path.suffix == ".npz" else _Single(path) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        pickled = "pickle" in str(error)
        reason = "it holds pickled Python objects, which are not loaded" if pickled else str(error)
        raise UserError(
            f"cannot read {path}: {' '.join(reason.split())}; save plain numeric arrays with "
            "numpy.savez"
        ) from None


class _Single:
    """An `.npy` file read as an `.npz` of one entry."""

    files = ("array",)

    def __init__(self, path: Path):
        self.array = np.load(path, allow_pickle=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def __getitem__(self, name):
        return self.array


def _checked(array: np.ndarray, what: str) -> np.ndarray:
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise UserError(f"{what}: expected numbers; got dtype {array.dtype}")
    if np.iscomplexobj(array):
        raise UserError(f"{what}: expected real numbers; got dtype {array.dtype}")
    if array.ndim < 2:
        looks = "; it looks like labels" if np.issubdtype(array.dtype, np.integer) else ""
        raise UserError(
            f"{what}: expected examples along the first axis and at least one more axis; got "
            f"shape {array.shape}{looks}: give the images or feature vectors"
        )
    if array.size == 0:
        raise UserError(f"{what}: expected at least one example; got shape {array.shape}")
    bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if bad.any():
        raise UserError(
            f"{what}: {bad.sum()} of {len(array)} examples have NaN or infinite values, first at "
            f"index {int(np.argmax(bad))}: remove or fill them"
        )
    return array


def _divide(array: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    if len(array) < 10:
        raise UserError(f"{path}: expected at least 10 examples to split; got {len(array)}")
    array = array[np.random.RandomState(0).permutation(len(array))]
    tenth = len(array) // 10
    return {
        "train": array[: -2 * tenth],
        "validation": array[-2 * tenth : -tenth],
        "test": array[-tenth:],
    }


def _scale(values: np.ndarray) -> tuple[float | None, type]:
    """(levels, dtype to store): see `Dataset.levels`."""
    low, high = values.min(), values.max()
    if low >= 0 and high <= 255 and (values == np.round(values)).all():
        return (1, np.uint8) if high <= 1 else (255, np.uint8)
    if low >= 0 and high <= 1:
        return 1.0, np.float32
    return None, np.float32
