"""Which examples are for training, for validation and for test."""

from pathlib import Path
from typing import Any

import numpy as np

from vaejax.errors import SettingError, UserError
from vaejax.types import rows_of


def held_out(num_train: int, validation: int) -> int:
    """Where the validation examples begin, counted from the end of the training split.

    Raises:
      SettingError: they would be fewer than none, or all.
    """
    if not 0 <= validation < num_train:
        expected = f"from 0 to {num_train - 1} (of {num_train} training examples)"
        raise SettingError(f"validation must be {expected}; got {validation}", "validation")
    return num_train - validation


def of_one(path: Path, whole: Any, n: int) -> tuple[dict[str, Any], int]:
    """(train and test, how many a tenth is) of arrays of n examples along the first axis: by a
    fixed shuffle, the last tenth for test.

    Raises:
      UserError: fewer than 10 examples.
    """
    if n < 10:
        raise UserError(f"{path}: expected at least 10 examples to split; got {n}")
    order, tenth = np.random.RandomState(0).permutation(n), n // 10
    return {"train": rows_of(whole, order[:-tenth]), "test": rows_of(whole, order[-tenth:])}, tenth


def with_validation(
    path: Path, splits: dict[str, Any], sizes: dict[str, int], validation: int | None, usual: int
) -> dict[str, Any]:
    """Train, validation and test of a file's own splits: `validation` examples, by default
    `usual`, are the last of `train` where the file has no validation split.

    Raises:
      SettingError: it has, and `validation` is another size; or no such number can be held out.
    """
    if "validation" not in splits:
        train = splits["train"]
        cut = held_out(sizes["train"], usual if validation is None else validation)
        return {
            "train": rows_of(train, slice(cut)),
            "validation": rows_of(train, slice(cut, None)),
            "test": splits["test"],
        }
    if validation not in (None, sizes["validation"]):
        raise SettingError(
            f"{path} holds out {sizes['validation']} examples itself; got validation {validation}: "
            "leave it out",
            "validation",
        )
    return splits
