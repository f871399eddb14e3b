"""Points in the plane on five curved arms: a few Gaussians do not fit this density.

The settings of Johnson et al. (2016, section 6.1): 500 training points, radial standard deviation
0.3, tangential 0.05, bend 0.25; the radius is 10. Simulated from a fixed seed.
"""

import numpy as np

from vaejax.data.source import Source, Stored

SIZES = {"train": 500, "validation": 500, "test": 2000}
_ARMS, _RADIAL, _TANGENTIAL, _BEND, _RADIUS = 5, 0.3, 0.05, 0.25, 10.0


def points(rng: np.random.RandomState, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw (x (n, 2), arm (n,)): points (1 + radial noise, tangential noise), each turned by the
    angle of its arm plus bend * exp(first coordinate). Rounded to four decimals: the same on every
    machine."""
    arm = rng.randint(_ARMS, size=n)
    along = 1 + _RADIAL * rng.normal(size=n)
    across = _TANGENTIAL * rng.normal(size=n)
    angle = 2 * np.pi * arm / _ARMS + _BEND * np.exp(along)
    x = along * np.cos(angle) - across * np.sin(angle)
    y = along * np.sin(angle) + across * np.cos(angle)
    return np.round(_RADIUS * np.stack([x, y], axis=1), 4).astype(np.float32), arm


def _load() -> Stored:
    rng, x, arms = np.random.RandomState(0), {}, {}
    for split, n in SIZES.items():
        x[split], arms[split] = points(rng, n)
    labels = {split: arms[split] for split in ("train", "test")}
    return Stored(x["train"], x["test"], None, validation=x["validation"], labels=labels)


SOURCE = Source(
    "pinwheel",
    "3,000 points in the plane on five curved arms",
    "none",
    SIZES["validation"],
    _load,
    lambda: "simulated by vaejax",
)
