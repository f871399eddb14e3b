"""The types of an entry in the table of named data sets."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vaejax.data.summary import Binarization
from vaejax.types import Conditions


class Stored(NamedTuple):
    """The arrays of a data set, examples along the first axis.

    Attributes:
      levels: the value that means intensity 1; None for real values.
      validation: a published validation split; without one, the end of `train` is used.
      labels: the labels of `train` and of `test`, if there are any.
      given: for sequences, the `Conditions` of each split; these need a validation split.
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
      binarization: the one that is used if none is given.
      num_validation: the number of validation examples: those held out of `train` by default, or
        those of a published validation split.
      load: reads the data, or downloads them the first time; raises UserError if it cannot.
      whereabouts: where the data are, or what would be downloaded (`not here: ...`).
    """

    name: str
    description: str
    binarization: Binarization
    num_validation: int
    load: Callable[[], Stored]
    whereabouts: Callable[[], str]
