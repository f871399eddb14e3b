"""Binary images of a damped pendulum under torques, simulated from a fixed seed."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from vaejax.data.source import Source, Stored
from vaejax.types import Conditions

SIZES = {"train": 500, "validation": 100, "test": 200}
NUM_FRAMES, SIDE = 40, 16

_FRAME, _SUBSTEPS = 0.1, 10  # seconds between two images, and Euler steps in that time
_GRAVITY, _DAMPING, _TORQUE, _NOISE = 10.0, 0.3, 6.0, 0.05  # g / l, 1 / s, at action 1, rad / s
_LENGTH, _HALF_WIDTH = 6.5, 1.5  # of the rod, in pixels
_CHANGE = 0.25  # probability that the torque changes at a frame


def draw_actions(
    rng: np.random.RandomState, n: int, num_frames: int = NUM_FRAMES
) -> Float[np.ndarray, "n time 1"]:
    """Draw torques in [-1, 1] that stay constant for four frames on average. The first frame has 0:
    no step leads to it."""
    changes = rng.uniform(size=(n, num_frames)) < _CHANGE
    changes[:, :2] = True
    values = rng.uniform(-1, 1, (n, num_frames)).astype(np.float32)
    values[:, 0] = 0
    since = np.maximum.accumulate(np.where(changes, np.arange(num_frames), 0), axis=1)
    return np.take_along_axis(values, since, axis=1)[..., None]


def draw_initial(rng: np.random.RandomState, n: int) -> Float[np.ndarray, "n 2"]:
    """Draw initial angles (radians, 0 hangs down) and angular velocities (radians per second)."""
    return np.stack([rng.uniform(-np.pi, np.pi, n), rng.normal(0, 2.0, n)], axis=1)


def simulate(
    rng: np.random.RandomState,
    actions: Float[np.ndarray, "n time 1"],
    initial: Float[np.ndarray, "n 2"],
) -> UInt8[np.ndarray, "n time 16 16"]:
    """Simulate images of n pendulums. The first shows the initial state; each later one shows the
    state after its action has acted for 0.1 seconds. Noise is a small random push at each frame."""
    angle, velocity = np.asarray(initial, np.float64).T
    angles = [angle]
    for t in range(1, actions.shape[1]):
        velocity = velocity + _NOISE * rng.normal(size=len(velocity))
        for _ in range(_SUBSTEPS):
            force = _TORQUE * actions[:, t, 0] - _GRAVITY * np.sin(angle) - _DAMPING * velocity
            velocity = velocity + _FRAME / _SUBSTEPS * force
            angle = angle + _FRAME / _SUBSTEPS * velocity
        angles.append(angle)
    return _draw(np.stack(angles, axis=1))


def _draw(angles: Float[np.ndarray, "n time"]) -> UInt8[np.ndarray, "n time 16 16"]:
    """Draw a thick rod from the middle of the image. A pixel is 1 if its centre lies within the
    rod's half-width."""
    across, along = np.sin(angles)[..., None, None], np.cos(angles)[..., None, None]
    centres = np.arange(SIDE) + 0.5 - SIDE / 2
    row, column = centres[:, None], centres
    position = np.clip(column * across + row * along, 0, _LENGTH)
    squared = (column - position * across) ** 2 + (row - position * along) ** 2
    return (squared <= _HALF_WIDTH**2).astype(np.uint8)


def _load() -> Stored:
    rng, x, given = np.random.RandomState(0), {}, {}
    for split, n in SIZES.items():
        actions: Any = draw_actions(rng, n)
        exists: Any = np.ones((n, NUM_FRAMES), bool)
        x[split] = simulate(rng, actions, draw_initial(rng, n))
        given[split] = Conditions(exists, actions)
    return Stored(x["train"], x["test"], 1, validation=x["validation"], given=given)


SOURCE = Source(
    "pendulum",
    "800 sequences of 16x16 binary images of a pendulum under torques",
    "static",
    SIZES["validation"],
    _load,
    lambda: "simulated by vaejax",
)
