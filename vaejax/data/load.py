"""A data set by its name, or a person's own arrays by their path."""

import dataclasses
from pathlib import Path

import numpy as np

from vaejax.data import arrays, catalogue
from vaejax.data.dataset import Binarization, Dataset, held_out
from vaejax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Source:
    """What `vaejax data` says of a data set before it is loaded."""

    name: str
    binarization: Binarization
    validation: int
    description: str


SOURCES = (
    Source("digits", "dynamic", 200, "1,797 8x8 grey digits that scikit-learn carries"),
    Source("mnist", "dynamic", 10_000, "70,000 28x28 grey digits (LeCun et al. 1998)"),
    Source("binarized_mnist", "static", 10_000, "MNIST binarized once (Larochelle & Murray 2011)"),
)


def available() -> list[tuple[Source, str]]:
    """Each named data set with where it is, or what would be fetched."""
    return [(source, _whereabouts(source.name)) for source in SOURCES]


def _whereabouts(name: str) -> str:
    return "inside scikit-learn" if name == "digits" else catalogue.whereabouts(name)


def load(
    name: str, *, binarization: Binarization | None = None, validation: int | None = None
) -> Dataset:
    """Load a data set.

    Args:
      name: `digits`, `mnist`, `binarized_mnist`, or the path of an `.npz` or `.npy` file.
      binarization: by default the data set's usual one; for files `static` for 0/1 values,
        `dynamic` for intensities, `none` for other real values.
      validation: how many training examples are held out: the last ones of the training split
        (for `mnist` in the order of TensorFlow Datasets, which is shuffled). `binarized_mnist`
        has a published validation split, and takes only its size.

    Raises:
      UserError: no such data set; or values, shapes or sizes that cannot be used.
    """
    if name.endswith((".npz", ".npy")):
        return arrays.load(Path(name), binarization, validation)
    source = next((s for s in SOURCES if s.name == name), None)
    if source is None:
        names = ", ".join(s.name for s in SOURCES)
        raise UserError(f"unknown data set {name!r}: expected {names}, or a .npz or .npy file")
    binarization = binarization or source.binarization
    validation = source.validation if validation is None else validation
    if name == "binarized_mnist":
        splits = catalogue.load(name)
        if validation != len(splits["validation"]):
            raise UserError(
                f"binarized_mnist has a published validation split of {len(splits['validation'])} "
                f"images; --data.validation {validation} would change it"
            )
        return Dataset(name, splits["train"], splits["validation"], splits["test"], 1, binarization)
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        images, labels = digits.images.astype(np.uint8), digits.target
        # The last 297 are the test split: no shuffle, so that writers are not shared by chance.
        train, test, levels = (images[:1500], labels[:1500]), (images[1500:], labels[1500:]), 16
    else:
        splits = catalogue.load(name)
        train = splits["train"], splits["train_labels"]
        test, levels = (splits["test"], splits["test_labels"]), 255
    cut = held_out(len(train[0]), validation)
    return Dataset(
        name,
        train[0][:cut],
        train[0][cut:],
        test[0],
        levels,
        binarization,
        {"train": train[1][:cut], "validation": train[1][cut:], "test": test[1]},
    )
