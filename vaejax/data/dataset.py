"""Arrays in three splits, with the protocol that makes numbers on them comparable."""

import dataclasses
import functools
import hashlib
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vaejax.data.binarize import binarize
from vaejax.data.summary import Binarization, DataSummary, Support, moments
from vaejax.errors import SettingError
from vaejax.types import Example, Key, rows_of

Split = Literal["train", "validation", "test"]

# Part of the protocol, not of a run: every run evaluates on the same binary images.
_EVALUATION_SEED = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits of stored values. `observe` and `split` turn them into observations x.

    Attributes:
      levels: the stored value that means intensity 1; None for real-valued data.
      binarization: `dynamic`: x_i ~ Bernoulli(intensity_i), drawn at every step in training, and
        once with a fixed key for evaluation; `threshold`: intensity > 1/2; `static`: the stored
        values are 0 and 1; `none`: intensities or real values as they are.
      labels: for each split, the class of each example (n,), if known. No model is given them.
      given: for each split, what the examples are conditioned on, along the first axis.
      note: how the values of a person's own file were read, in one sentence.
      label_names: the names of the labels 0, 1, ..., if they have names.
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    levels: float | None
    binarization: Binarization
    labels: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    note: str = ""
    label_names: tuple[str, ...] = ()

    def __post_init__(self):
        if self.binarization not in get_args(Binarization):
            raise SettingError(
                f"binarization must be one of {', '.join(get_args(Binarization))}; got "
                f"{self.binarization!r}",
                "binarization",
            )
        stored_binary = self.levels == 1 and self.train.dtype == np.uint8
        if self.binarization == "static" and not stored_binary:
            raise SettingError(
                f"binarization static expects stored values 0 and 1; {self.name} has grey or real "
                "values: use binarization dynamic or threshold",
                "binarization",
            )
        if self.binarization != "static" and stored_binary:
            raise SettingError(
                f"{self.name} is binary already; got binarization {self.binarization}: use "
                "binarization static",
                "binarization",
            )
        if self.binarization in ("dynamic", "threshold") and self.levels is None:
            raise SettingError(
                f"binarization {self.binarization} expects intensities in [0, 1] or 0..255; "
                f"{self.name} has other values: use binarization none and a gaussian likelihood",
                "binarization",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one observation x."""
        return self.train.shape[1:]

    @property
    def support(self) -> Support:
        """What values x takes: {0, 1}, {0, 1/levels, ..., 1}, [0, 1] or the reals."""
        if self.binarization != "none":
            return "binary"
        if self.levels is None:
            return "real"
        return "grey" if self.train.dtype == np.uint8 else "unit"

    def stored(self, name: Split) -> Example:
        """The stored values of a split, examples along the first axis."""
        return Example(getattr(self, name), self.given.get(name, ()))

    def observe(self, key: Key, stored: Example) -> Example:
        """Make examples of stored values, a batch at a time. Pure; runs inside the training
        step."""
        return Example(self._observe_x(key, stored.x), stored.given)

    def examples(self, name: Split, count: int | None = None) -> Example:
        """The first `count` examples of a split, by default all, for evaluation; x as in
        `split`."""
        given = rows_of(self.given.get(name, ()), slice(count))
        return Example(self.split(name, count), given)

    def lengths(self, name: Split) -> Int[np.ndarray, " n"] | None:
        """The number of frames of each sequence in a split; None if the data are not sequences."""
        return None

    def _observe_x(self, key: Key, stored: Array) -> Float[Array, "batch ..."]:
        levels = self.levels or 1.0
        if self.binarization == "dynamic":
            return binarize(key, stored, levels)
        if self.binarization == "threshold":
            return (stored * 2.0 > levels).astype(jnp.float32)
        return stored.astype(jnp.float32) / levels

    def split(self, name: Split, count: int | None = None) -> np.ndarray:
        """The first `count` observations of a split, by default all, for evaluation: float32
        (count, *shape), the same for every run."""
        if name not in self._made:
            index = get_args(Split).index(name)
            key = jax.random.fold_in(jax.random.key(_EVALUATION_SEED, impl="threefry2x32"), index)
            x = np.asarray(jax.jit(self._observe_x)(key, getattr(self, name)))
            self._made[name] = x.astype(np.uint8) if self.support == "binary" else x
        return self._made[name][:count].astype(np.float32)

    @functools.cached_property
    def _made(self) -> dict[str, np.ndarray]:
        """A cache: the observations of each split that was used."""
        return {}

    @functools.cached_property
    def fingerprint(self) -> str:
        """The first 16 digits of a SHA-256 over the stored splits: equal fingerprints mean equal
        data."""
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves([self.stored(name) for name in get_args(Split)]):
            digest.update(f"{leaf.shape}{leaf.dtype}".encode())
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()[:16]

    @functools.cached_property
    def summary(self) -> DataSummary:
        """The facts about these data that a model needs."""
        mean, std = self._moments()
        return DataSummary(
            name=self.name,
            shape=self.shape,
            levels=self.levels,
            binarization=self.binarization,
            support=self.support,
            mean=mean,
            std=std,
            num_train=len(self.train),
            num_validation=len(self.validation),
            num_test=len(self.test),
            fingerprint=self.fingerprint,
            note=self.note,
        )

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each element of x over the training split."""
        if self.support != "binary":
            return moments(self.train, self.levels)
        if self.binarization == "threshold":
            mean = self.split("train").mean(axis=0, dtype=np.float64)
        else:
            mean = self.train.mean(axis=0, dtype=np.float64) / (self.levels or 1.0)
        return mean, np.sqrt(mean * (1 - mean))

    def protocol(self) -> dict[str, object]:
        """The facts that must agree for two numbers to be comparable."""
        return self.summary.protocol()
