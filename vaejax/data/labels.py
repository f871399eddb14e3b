"""Labels in a person's own data: what class each example is of. No model is given them."""

from pathlib import Path

import numpy as np

from vaejax.errors import UserError


def check(what: str, label: np.ndarray, n: int) -> None:
    """Raises UserError unless there is a whole number or a name for each of n examples."""
    dtype = getattr(label, "dtype", "bytes")  # what is no array in an .npz comes as bytes
    whole = getattr(dtype, "kind", "none") == "f" and (label == np.round(label)).all()
    if not whole and getattr(dtype, "kind", "none") not in "biuU":
        raise UserError(f"{what}: expected whole numbers or names as labels; got dtype {dtype}")
    if label.shape != (n,):
        raise UserError(
            f"{what}: expected a label for each of the {n} examples, shape ({n},); got shape "
            f"{label.shape}"
        )


def numbered(
    path: Path, labels: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The labels of each split as int64, and the names of 0, 1, ... where they were names.

    Raises:
      UserError: numbers in one split, names in another.
    """
    if not labels:
        return {}, ()
    kinds = {label.dtype.kind == "U" for label in labels.values()}
    if len(kinds) > 1:
        raise UserError(f"{path}: labels are numbers in one split, names in another: take one")
    if kinds == {False}:
        return {split: label.astype(np.int64) for split, label in labels.items()}, ()
    names = np.unique(np.concatenate(list(labels.values())))
    return (
        {split: np.searchsorted(names, label) for split, label in labels.items()},
        tuple(map(str, names)),
    )
