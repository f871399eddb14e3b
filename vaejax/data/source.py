"""What a data set of the table is made of."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vaejax.data.summary import Binarization
from vaejax.types import Conditions


class Stored(NamedTuple):
    """A source's arrays, examples along the first axis.

    Attributes:
      levels: the value that means intensity 1; None for real values.
      validation: a published validation split; without one it is taken from the end of `train`.
      labels: of `train` and of `test`, where there are any.
      given: of sequences, the `Conditions` of each split; there is a validation split then.
    """

    train: np.ndarray
    test: np.ndarray
    levels: float | None
    validation: np.ndarray | None = None
    labels: dict[str, np.ndarray] | None = None
    given: dict[str, Conditions] | None = None


class Source(NamedTuple):
    """A named data set.

    Attributes:
      binarization: the usual one.
      num_validation: how many examples are usually held out of `train`; those of a published
        validation split where there is one.
      load: reads it, or fetches it the first time. Raises UserError where it cannot.
      whereabouts: where it is, or what would be fetched (`not here: ...`).
    """

    name: str
    description: str
    binarization: Binarization
    num_validation: int
    load: Callable[[], Stored]
    whereabouts: Callable[[], str]
