"""Arrays with the protocol that makes a number computed on them comparable."""

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
    """Three splits of stored values; an observation x is made of them by `observe` or `split`.

    Attributes:
      levels: the stored value that means intensity 1; None for real-valued data.
      binarization: `dynamic`: training images are resampled, x_i ~ Bernoulli(intensity_i), at
        every step, evaluation images once from a fixed key; `threshold`: intensity > 1/2;
        `static`: the stored values are 0 and 1; `none`: intensities or real values as they are.
      labels: per split the class of each example (n,), where there are any. No model is given them.
      given: per split, what the examples are conditioned on, along the first axis.
      note: what was made of a person's own file, in one sentence.
      label_names: of the labels 0, 1, ..., where they have names.
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
                f"static expects stored values 0 and 1; {self.name} has grey or real "
                "values: use binarization dynamic or threshold",
                "binarization",
            )
        if self.binarization != "static" and stored_binary:
            raise SettingError(
                f"{self.name} is binary already, so {self.binarization} has nothing to do: use "
                "binarization static",
                "binarization",
            )
        if self.binarization in ("dynamic", "threshold") and self.levels is None:
            raise SettingError(
                f"{self.binarization} expects intensities in [0, 1] or 0..255; "
                f"{self.name} has values outside: use binarization none, and a gaussian "
                "likelihood",
                "binarization",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
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
        """A split as it is kept, along the first axis."""
        return Example(getattr(self, name), self.given.get(name, ()))

    def observe(self, key: Key, stored: Example) -> Example:
        """A batch of examples from a batch of stored ones. Pure; runs inside the step."""
        return Example(self._observe_x(key, stored.x), stored.given)

    def examples(self, name: Split, count: int | None = None) -> Example:
        """The first examples of a split for evaluation: x as `split` has it; all unless given."""
        given = rows_of(self.given.get(name, ()), slice(count))
        return Example(self.split(name, count), given)

    def lengths(self, name: Split) -> Int[np.ndarray, " n"] | None:
        """How many frames each example of a split has; None where they are no sequences."""
        return None

    def _observe_x(self, key: Key, stored: Array) -> Float[Array, "batch ..."]:
        levels = self.levels or 1.0
        if self.binarization == "dynamic":
            return binarize(key, stored, levels)
        if self.binarization == "threshold":
            return (stored * 2.0 > levels).astype(jnp.float32)
        return stored.astype(jnp.float32) / levels

    def split(self, name: Split, count: int | None = None) -> np.ndarray:
        """The first observations of a split for evaluation, all unless given; float32: made once,
        the same for every run."""
        if name not in self._made:
            index = get_args(Split).index(name)
            key = jax.random.fold_in(jax.random.key(_EVALUATION_SEED, impl="threefry2x32"), index)
            x = np.asarray(jax.jit(self._observe_x)(key, getattr(self, name)))
            self._made[name] = x.astype(np.uint8) if self.support == "binary" else x
        return self._made[name][:count].astype(np.float32)

    @functools.cached_property
    def _made(self) -> dict[str, np.ndarray]:
        """The observations of each split that was asked for."""
        return {}

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the stored splits, x and what is given with it, shortened: equal
        fingerprints mean equal data."""
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves([self.stored(name) for name in get_args(Split)]):
            digest.update(f"{leaf.shape}{leaf.dtype}".encode())
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()[:16]

    @functools.cached_property
    def summary(self) -> DataSummary:
        """What a model needs of these data."""
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
        """What must agree for two numbers to be comparable."""
        return self.summary.protocol()
