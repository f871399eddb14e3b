"""What a model and its measurements need of a data set, without its examples."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vaejax.errors import UserError

Binarization = Literal["dynamic", "static", "threshold", "none"]
Support = Literal["binary", "grey", "unit", "real"]


@dataclasses.dataclass(frozen=True, eq=False)
class DataSummary:
    """A data set in a few numbers. Two are of the same data where their fingerprints agree.

    Attributes:
      shape: of one observation x.
      levels: the stored value that means intensity 1; None for real-valued data.
      support: what values x takes: {0, 1}, {0, 1/levels, ..., 1}, [0, 1] or the reals.
      mean: of each element of x over the training split, float64.
      std: its standard deviation, float64, in the units of x.
      note: what was made of a person's own file, in one sentence.
    """

    name: str
    shape: tuple[int, ...]
    levels: float | None
    binarization: Binarization
    support: Support
    mean: np.ndarray
    std: np.ndarray
    num_train: int
    num_validation: int
    num_test: int
    fingerprint: str
    note: str = ""

    def protocol(self) -> dict[str, object]:
        """What must agree for two numbers to be comparable."""
        protocol: dict[str, object] = {
            "data": self.name,
            "train": self.num_train,
            "validation": self.num_validation,
            "test": self.num_test,
            "shape": list(self.shape),
            "levels": self.levels,
            "binarization": self.binarization,
            "fingerprint": self.fingerprint,
        }
        return protocol | ({"note": self.note} if self.note else {})

    def to_json(self) -> dict[str, Any]:
        """What `load_summary` reads; every float64 comes back as it was."""
        return dataclasses.asdict(self) | {"mean": self.mean.tolist(), "std": self.std.tolist()}


def load_summary(path: Path) -> DataSummary:
    """Of a file that holds what `to_json` gives.

    Raises:
      UserError: no such file, or a damaged one.
    """
    try:
        content = json.loads(path.read_text())
        arrays = {name: np.asarray(content[name], np.float64) for name in ("mean", "std")}
        summary = DataSummary(**(content | arrays | {"shape": tuple(content["shape"])}))
        if not summary.mean.shape == summary.std.shape == summary.shape:
            raise ValueError("mean and std have other shapes than x")
    except FileNotFoundError:
        raise UserError(f"no summary of the data in {path}: train the model again") from None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}): train the model again") from None
    return summary


def moments(stored: np.ndarray, levels: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each element over the first axis, in float64, after division
    by `levels`; in bounded memory."""
    scale, rows = levels or 1.0, 4096
    mean = stored.mean(axis=0, dtype=np.float64)
    squares = np.zeros(mean.shape)
    for start in range(0, len(stored), rows):
        squares += np.sum((stored[start : start + rows] - mean) ** 2, axis=0)
    return mean / scale, np.sqrt(squares / len(stored)) / scale
