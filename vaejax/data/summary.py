"""The facts about a data set that a model and its measurements need, without its examples."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vaejax.errors import UserError
from vaejax.types import Conditions, Example

Binarization = Literal["dynamic", "static", "threshold", "none"]
Support = Literal["binary", "grey", "unit", "real", "categories"]


@dataclasses.dataclass(frozen=True)
class SequenceSummary:
    """The facts about sequences that other data do not have.

    Attributes:
      frames: the number of frames in each split that are not missing.
      missing: the number of missing frames in each split.
      num_actions: the size of the action at a step; 0 if there are no actions.
    """

    frames: dict[str, int]
    missing: dict[str, int]
    num_actions: int


@dataclasses.dataclass(frozen=True, eq=False)
class DataSummary:
    """A data set in a few numbers. Two data sets are the same if their fingerprints agree.

    Attributes:
      shape: the shape of one observation x; for sequences (time, *frame).
      levels: the stored value that means intensity 1; None for real-valued data.
      support: what values x takes: {0, 1}, {0, 1/levels, ..., 1}, [0, 1], the reals, or categories
        {0, ..., num_categories - 1}.
      mean: the mean of each element of x over the training split, float64. For sequences, the mean
        of each element of a frame over all frames that are not missing. For categories, the
        frequency of each one, on one more axis: (*frame, num_categories).
      std: the standard deviation of each element, float64, in the units of x.
      note: how the values of a person's own file were read, in one sentence.
      sequence: further facts about sequences; None for other data.
      num_categories: the number of categories; None for other values.
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
    sequence: SequenceSummary | None = None
    num_categories: int | None = None

    @property
    def is_sequence(self) -> bool:
        """Whether the data are sequences."""
        return self.sequence is not None

    def frame(self) -> "DataSummary":
        """The summary of one frame of a sequence, which is what its likelihood needs.

        Raises:
          ValueError: the data are not sequences.
        """
        if not self.is_sequence:
            raise ValueError(f"expected sequences; {self.name} has none: use the summary itself")
        return dataclasses.replace(self, shape=self.shape[1:], sequence=None)

    def example(self) -> Example:
        """An example of zeros, with which to trace a model; a sequence of the full length."""
        x = np.zeros(self.shape, np.int32 if self.num_categories else np.float32)
        if self.sequence is None:
            return Example(x)
        time, size = self.shape[0], self.sequence.num_actions
        exists: Any = np.ones(time, bool)
        actions: Any = np.zeros((time, size), np.float32) if size else ()
        return Example(x, Conditions(exists, actions))

    def protocol(self) -> dict[str, object]:
        """The facts that must agree for two numbers to be comparable."""
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
        if self.num_categories is not None:
            protocol["categories"] = self.num_categories
        if self.sequence is not None:  # in the order train, validation, test
            protocol["frames"] = list(self.sequence.frames.values())
            protocol["missing"] = list(self.sequence.missing.values())
        return protocol | ({"note": self.note} if self.note else {})

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON, from which `load_summary` restores every float64 exactly."""
        return dataclasses.asdict(self) | {"mean": self.mean.tolist(), "std": self.std.tolist()}


def load_summary(path: Path) -> DataSummary:
    """Read a summary from a JSON file that holds what `to_json` gives.

    Raises:
      UserError: the file does not exist or is damaged.
    """
    try:
        content = json.loads(path.read_text())
        arrays = {name: np.asarray(content[name], np.float64) for name in ("mean", "std")}
        sequence = content.get("sequence")
        summary = DataSummary(
            **(content | arrays | {"shape": tuple(content["shape"])})
            | {"sequence": SequenceSummary(**sequence) if sequence else None}
        )
        shape = summary.shape[1:] if summary.is_sequence else summary.shape
        expected = shape if summary.num_categories is None else (*shape, summary.num_categories)
        if not summary.mean.shape == summary.std.shape == expected:
            raise ValueError("the shapes of mean and std do not fit x")
    except FileNotFoundError:
        raise UserError(
            f"there is no file {path}, the summary of the data: train the model again"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}): train the model again") from None
    return summary


def moments(stored: np.ndarray, levels: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each element over the first axis, after division by `levels`:
    float64, in bounded memory."""
    scale, rows = levels or 1.0, 4096
    mean = stored.mean(axis=0, dtype=np.float64)
    squares = np.zeros(mean.shape)
    for start in range(0, len(stored), rows):
        squares += np.sum((stored[start : start + rows] - mean) ** 2, axis=0)
    return mean / scale, np.sqrt(squares / len(stored)) / scale
