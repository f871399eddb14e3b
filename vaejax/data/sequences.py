"""A data set of sequences of different lengths, perhaps with actions."""

import dataclasses
import functools
from typing import Any, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from vaejax.data.dataset import Dataset, Split
from vaejax.data.summary import DataSummary, SequenceSummary, Support, moments
from vaejax.errors import SettingError, UserError
from vaejax.types import Conditions, missing_frames


@dataclasses.dataclass(frozen=True, eq=False)
class SequenceDataset(Dataset):
    """Three splits of sequences, x (n, T, *frame), padded to the same T. For each split `given` has
    the `Conditions`: exists (n, T), and actions (n, T, action) or ().

    Frames beyond a sequence's length are 0. x is 0 or 1 (`binarization` static), real numbers, or
    categories. A missing frame is NaN in all of its values (float32), or -1 (categories).

    Attributes:
      num_categories: the number of categories 0, 1, ...; None for other values.

    Raises:
      SettingError: a binarization is given; sequences are taken as they are.
      UserError: all frames of a split are missing.
    """

    num_categories: int | None = None

    def __post_init__(self):
        as_they_are = "static" if self.levels == 1 else "none"
        if self.binarization != as_they_are:
            raise SettingError(
                f"sequences are not binarized: {self.name} expects binarization {as_they_are}; "
                f"got {self.binarization}: leave it out",
                "binarization",
            )
        for name, words in (("train", "training"), ("validation", "validation"), ("test", "test")):
            empty = name != "train" and len(getattr(self, name)) == 0
            if not empty and not self.observed(name).any():
                raise UserError(
                    f"{self.name}: expected at least one {words} frame that is not missing; all "
                    "are missing: give other sequences"
                )

    @property
    def support(self) -> Support:
        """What values x takes: {0, 1}, whole numbers below `num_categories`, or the reals."""
        if self.num_categories is not None:
            return "categories"
        return "binary" if self.levels == 1 else "real"

    def _observe_x(self, key: Any, stored: Array) -> Array:
        return stored.astype(jnp.int32 if self.num_categories else jnp.float32)

    def split(self, name: Split, count: int | None = None) -> np.ndarray:
        """The first `count` sequences of a split, by default all: float32; int32 for categories."""
        stored = getattr(self, name)[:count]
        return stored.astype(np.int32 if self.num_categories else np.float32)

    def lengths(self, name: Split) -> Int[np.ndarray, " n"]:
        """The number of frames of each sequence in a split, missing ones included."""
        return np.sum(self.given[name].exists, axis=1)

    def observed(self, name: Split) -> Bool[np.ndarray, "n time"]:
        """Whether each frame exists and is not missing."""
        return self.given[name].exists & ~missing_frames(getattr(self, name), axes=2)

    @functools.cached_property
    def summary(self) -> DataSummary:
        """The facts about these data that a model needs."""
        there = {name: int(self.lengths(name).sum()) for name in get_args(Split)}
        frames = {name: int(self.observed(name).sum()) for name in get_args(Split)}
        actions = self.given["train"].actions
        sequence = SequenceSummary(
            frames=frames,
            missing={name: there[name] - frames[name] for name in frames},
            num_actions=0 if isinstance(actions, tuple) else actions.shape[-1],
        )
        return dataclasses.replace(
            super().summary, sequence=sequence, num_categories=self.num_categories
        )

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        frames = self.train[self.observed("train")]
        if self.support == "real":
            return moments(frames, None)
        if self.num_categories is None:
            mean = frames.mean(axis=0, dtype=np.float64)
        else:
            mean = _frequencies(frames, self.num_categories)
        return mean, np.sqrt(mean * (1 - mean))


def padded(sequences: list[np.ndarray], longest: int) -> tuple[np.ndarray, Conditions]:
    """Pad sequences (length, *frame) with zeros to `longest` frames; returns (x, Conditions)."""
    first = sequences[0]
    x = np.zeros((len(sequences), longest, *first.shape[1:]), first.dtype)
    for row, sequence in zip(x, sequences, strict=True):
        row[: len(sequence)] = sequence
    lengths = np.array([len(sequence) for sequence in sequences])
    exists: Any = np.arange(longest) < lengths[:, None]
    return x, Conditions(exists)


def _frequencies(frames: np.ndarray, num_categories: int) -> np.ndarray:
    """The frequency of each category at each element of a frame: (*frame, num_categories)."""
    columns = frames.reshape(len(frames), -1).T
    counts = np.stack([np.bincount(column, minlength=num_categories) for column in columns])
    return (counts / len(frames)).reshape(*frames.shape[1:], num_categories)


def repeats_of_training(dataset: SequenceDataset, name: Split) -> Bool[np.ndarray, " n"]:
    """Whether each sequence of a split is equal to a training sequence."""

    def frames(split: Split) -> list[bytes]:
        stored = getattr(dataset, split)
        return [
            row[:length].tobytes()
            for row, length in zip(stored, dataset.lengths(split), strict=True)
        ]

    training = set(frames("train"))
    return np.array([sequence in training for sequence in frames(name)], bool)
