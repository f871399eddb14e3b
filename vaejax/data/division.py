"""Division of examples into training, validation and test splits."""

from pathlib import Path
from typing import Any

import numpy as np

from vaejax.errors import SettingError, UserError
from vaejax.types import rows_of


def held_out(num_train: int, validation: int) -> int:
    """The index at which the last `validation` of the training examples begin.

    Raises:
      SettingError: `validation` is negative, or would leave no training example.
    """
    if not 0 <= validation < num_train:
        expected = f"from 0 to {num_train - 1} (there are {num_train} training examples)"
        raise SettingError(f"validation must be {expected}; got {validation}", "validation")
    return num_train - validation


def of_one(path: Path, whole: Any, n: int) -> tuple[dict[str, Any], int]:
    """Split arrays of n examples with a fixed shuffle; the last tenth is the test split.

    Returns ({"train": ..., "test": ...}, a tenth of n).

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
    """The splits of a file, with a validation split added if it has none: the last `validation`
    examples of `train`, by default the last `usual`.

    Raises:
      SettingError: the file's validation split has another size, or `validation` is out of range.
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
