"""Load a data set by its name, or a person's own file or folder by its path."""

import os
from pathlib import Path
from typing import Any

from vaejax.data import arrays, own_images, own_sequences
from vaejax.data.dataset import Dataset
from vaejax.data.division import held_out
from vaejax.data.sequences import SequenceDataset
from vaejax.data.source import Source
from vaejax.data.sources import SOURCES
from vaejax.data.summary import Binarization
from vaejax.errors import SettingError, UserError


def available() -> list[tuple[Source, str]]:
    """Each named data set, and in words where it is or what would be downloaded."""
    return [(source, source.whereabouts()) for source in SOURCES.values()]


def is_own_file(name: str) -> bool:
    """Whether a data set's name is the path of a person's own file or folder."""
    if name in SOURCES or not name:
        return False
    return _is_array_file(name) or os.sep in name or Path(name).exists()


def _is_array_file(name: str) -> bool:
    return name.endswith((".npz", ".npy"))


def load(
    name: str,
    *,
    binarization: Binarization | None = None,
    validation: int | None = None,
    binarize: bool = True,
    missing: bool = False,
    standardize: bool = False,
) -> Dataset:
    """Load a data set by its name, or a person's own arrays or images by their path.

    Args:
      name: one of those that `available` lists, or the path of an `.npz` or `.npy` file or of a
        folder of images.
      binarization: by default the data set's usual one; for files `static` for 0/1 values,
        `dynamic` for images of one channel, `none` for real values. Other intensities (colour
        images, features) have no default. Sequences are taken as they are.
      validation: the number of training examples held out, from the end of the training split
        (in the shuffled order of TensorFlow Datasets for data from there). A data set with a
        published validation split accepts only the size of that split.
      binarize: False keeps intensities as they are if `binarization` is not given.
      missing: whether frames of NaN in a person's own sequences are missing frames.
      standardize: whether to take the numbers of a person's own file as real-valued features, even
        if they are whole or in [0, 1]. A Gaussian likelihood standardizes such features.

    Raises:
      UserError: there is no such data set; or its values, shapes or sizes cannot be used. It is a
        ValueError.

    Example:
      >>> import vaejax
      >>> digits = vaejax.data.load("digits")  # scikit-learn's; nothing is fetched
      >>> digits.split("train").shape, digits.split("test").shape
      ((1300, 8, 8), (297, 8, 8))
    """
    if is_own_file(name):
        return _load_own(Path(name), binarization, validation, binarize, missing, standardize)
    for field, of, given in (
        ("missing", "your own sequences", missing),
        ("standardize", "your own data", standardize),
    ):
        if given:
            raise SettingError(f"{field} is for {of}, not for {name}: leave it out", field)
    if name not in SOURCES:
        names = ", ".join(SOURCES)
        raise UserError(
            f"unknown data set {name!r}: expected {names}, or a .npz or .npy file, or a folder of "
            "images"
        )
    source = SOURCES[name]
    usual: Binarization = (
        source.binarization if binarize or source.binarization == "static" else "none"
    )
    return _load_source(source, binarization or usual, validation)


def _load_own(
    path: Path,
    binarization: Binarization | None,
    validation: int | None,
    binarize: bool,
    missing: bool,
    standardize: bool,
) -> Dataset:
    image_options: dict[str, Any] = {}
    if _is_array_file(path.name):
        entries = arrays.read(path)
    else:
        path = path.absolute()
        entries, done = own_images.read(path)
        image_options = {"eight_bits": True, "done": done}
    if standardize and binarization not in (None, "none"):
        raise SettingError(
            f"standardize takes the values as real numbers, but binarization {binarization} makes "
            "them 0 or 1: give only one of the two",
            "standardize",
            "binarization",
        )
    if own_sequences.has_lengths(entries):
        return own_sequences.load(path, entries, binarization, validation, missing, standardize)
    if missing:
        raise SettingError(
            f"missing is for your own sequences, an .npz with their lengths; {path} has no "
            "lengths: leave it out",
            "missing",
        )
    return arrays.load(
        path, entries, binarization, validation, binarize, standardize=standardize, **image_options
    )


def _load_source(source: Source, binarization: Binarization, validation: int | None) -> Dataset:
    stored = source.load()
    train, held, labels = stored.train, stored.validation, dict(stored.labels or {})
    if held is not None and validation not in (None, len(held)):
        raise SettingError(
            f"{source.name} holds out the {len(held)} examples that were published for this; got "
            f"validation {validation}: leave it out",
            "validation",
        )
    if stored.given is not None:
        assert held is not None
        arrays_of = (source.name, stored.train, held, stored.test, stored.levels, binarization)
        return SequenceDataset(*arrays_of, given=stored.given)
    if held is None:
        cut = held_out(len(train), source.num_validation if validation is None else validation)
        train, held = train[:cut], train[cut:]
        if labels:
            labels |= {"train": labels["train"][:cut], "validation": labels["train"][cut:]}
    return Dataset(source.name, train, held, stored.test, stored.levels, binarization, labels)
