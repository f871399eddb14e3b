"""Sequences of a linear dynamical system with known parameters: a Kalman filter gives log p(x).

They are simulated from a fixed seed. z is a slow, decaying rotation in two dimensions; x has five.
"""

import math
from typing import NamedTuple

import numpy as np

from vaejax.data.sequences import padded
from vaejax.data.source import Source, Stored

SIZES = {"train": 500, "validation": 100, "test": 200}
LENGTHS = (20, 50)  # the shortest, the longest
_DECAY, _ANGLE = 0.98, 0.3


class LinearSystem(NamedTuple):
    """z_0 ~ N(initial_mean, initial_cov), z_t ~ N(F z_{t-1}, Q), x_t ~ N(C z_t, R)."""

    initial_mean: np.ndarray
    initial_cov: np.ndarray
    F: np.ndarray
    Q: np.ndarray
    C: np.ndarray
    R: np.ndarray


def system() -> LinearSystem:
    """The parameters that the data were simulated with. At every t, z_t is N(0, I)."""
    c, s = math.cos(_ANGLE), math.sin(_ANGLE)
    return LinearSystem(
        initial_mean=np.zeros(2),
        initial_cov=np.eye(2),
        F=_DECAY * np.array([[c, -s], [s, c]]),
        Q=(1 - _DECAY**2) * np.eye(2),
        C=np.array([[1.0, 0.0], [0.0, 1.0], [0.7, -0.7], [-1.2, 0.4], [0.3, 0.9]]),
        R=0.25 * np.eye(5),
    )


def simulate(rng: np.random.RandomState, length: int) -> np.ndarray:
    """Simulate one sequence x (length, 5), rounded to four decimals: the same on every machine."""
    p = system()
    root_q, root_r = np.sqrt(np.diag(p.Q)), np.sqrt(np.diag(p.R))
    z = p.initial_mean + np.sqrt(np.diag(p.initial_cov)) * rng.normal(size=2)
    x = np.empty((length, 5))
    for t in range(length):
        if t > 0:
            z = p.F @ z + root_q * rng.normal(size=2)
        x[t] = p.C @ z + root_r * rng.normal(size=5)
    return np.round(x, 4).astype(np.float32)


def _load() -> Stored:
    rng, x, given = np.random.RandomState(0), {}, {}
    for split, n in SIZES.items():
        lengths = rng.randint(LENGTHS[0], LENGTHS[1] + 1, n)
        x[split], given[split] = padded([simulate(rng, length) for length in lengths], LENGTHS[1])
    return Stored(x["train"], x["test"], None, validation=x["validation"], given=given)


SOURCE = Source(
    "lds",
    "800 sequences of a linear dynamical system with known parameters",
    "none",
    SIZES["validation"],
    _load,
    lambda: "simulated by vaejax",
)
