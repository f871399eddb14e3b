"""Sequences of a linear dynamical system that switches between three regimes: two rotations, and
a pull towards a point away from 0. Simulated from a fixed seed; p(x_t | z_t) is that of `lds`."""

import math
from typing import NamedTuple

import numpy as np

from vaejax.data import lds
from vaejax.data.sequences import padded
from vaejax.data.source import Source, Stored

SIZES = {"train": 500, "validation": 100, "test": 200}
LENGTHS = (50, 80)  # the shortest, the longest
_STAY = 0.95  # probability that a regime lasts another step
_NOISE = 0.1  # standard deviation of each step of z


class SwitchingSystem(NamedTuple):
    """s_0 uniform, s_t ~ P[s_{t-1}], z_0 ~ N(0, I), z_t ~ N(F[s_t] z_{t-1} + b[s_t], Q),
    x_t ~ N(C z_t, R)."""

    P: np.ndarray
    F: np.ndarray
    b: np.ndarray
    Q: np.ndarray
    C: np.ndarray
    R: np.ndarray


def _rotation(decay: float, angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return decay * np.array([[c, -s], [s, c]])


def system() -> SwitchingSystem:
    """The parameters that the data were simulated with."""
    linear = lds.system()
    num_regimes = 3
    move = (1 - _STAY) / (num_regimes - 1)
    return SwitchingSystem(
        P=move + (_STAY - move) * np.eye(num_regimes),
        F=np.stack([_rotation(0.99, 0.4), _rotation(0.99, -0.1), 0.8 * np.eye(2)]),
        b=np.array([[0.0, 0.0], [0.0, 0.0], [0.4, 0.2]]),
        Q=_NOISE**2 * np.eye(2),
        C=linear.C,
        R=linear.R,
    )


def simulate(rng: np.random.RandomState, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate one sequence: (x (length, 5) to four decimals, regimes (length,))."""
    p = system()
    root_q, root_r = np.sqrt(np.diag(p.Q)), np.sqrt(np.diag(p.R))
    regimes, x = np.empty(length, int), np.empty((length, 5))
    s, z = rng.randint(len(p.P)), rng.normal(size=2)
    for t in range(length):
        if t > 0:
            s = rng.choice(len(p.P), p=p.P[s])
            z = p.F[s] @ z + p.b[s] + root_q * rng.normal(size=2)
        regimes[t], x[t] = s, p.C @ z + root_r * rng.normal(size=5)
    return np.round(x, 4).astype(np.float32), regimes


def _load() -> Stored:
    rng, x, given = np.random.RandomState(0), {}, {}
    for split, n in SIZES.items():
        lengths = rng.randint(LENGTHS[0], LENGTHS[1] + 1, n)
        sequences = [simulate(rng, length)[0] for length in lengths]
        x[split], given[split] = padded(sequences, LENGTHS[1])
    return Stored(x["train"], x["test"], None, validation=x["validation"], given=given)


SOURCE = Source(
    "switching",
    "800 sequences of a linear dynamical system with three regimes",
    "none",
    SIZES["validation"],
    _load,
    lambda: "simulated by vaejax",
)
