"""Labels in a person's own data: the class of each example. No model is given them."""

from pathlib import Path

import numpy as np

from vaejax.errors import UserError


def check(what: str, label: np.ndarray, n: int) -> None:
    """Raise UserError unless `label` has a whole number or a name for each of n examples."""
    dtype = getattr(label, "dtype", "bytes")  # NumPy gives bytes for a non-array in an .npz
    whole = getattr(dtype, "kind", "none") == "f" and (label == np.round(label)).all()
    if not whole and getattr(dtype, "kind", "none") not in "biuU":
        raise UserError(
            f"{what}: expected whole numbers or names as labels; got dtype {dtype}: convert them"
        )
    if label.shape != (n,):
        raise UserError(
            f"{what}: expected one label for each of the {n} examples, shape ({n},); got shape "
            f"{label.shape}: give one label for each"
        )


def numbered(
    path: Path, labels: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """(the labels of each split as int64, their names); () for the names if labels are numbers.

    Raises:
      UserError: numbers in one split, names in another.
    """
    if not labels:
        return {}, ()
    kinds = {label.dtype.kind == "U" for label in labels.values()}
    if len(kinds) > 1:
        raise UserError(
            f"{path}: labels are numbers in one split and names in another: use one kind"
        )
    if kinds == {False}:
        return {split: label.astype(np.int64) for split, label in labels.items()}, ()
    names = np.unique(np.concatenate(list(labels.values())))
    return (
        {split: np.searchsorted(names, label) for split, label in labels.items()},
        tuple(map(str, names)),
    )
