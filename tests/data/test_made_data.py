"""The data that are made here: they are what their description says, on every machine."""

import numpy as np
import pytest

from vaejax.data import lds, load, pendulum, pinwheel, switching

SPLITS = ("train", "validation", "test")


class NoNoise:
    """A generator whose normal draws are 0."""

    def normal(self, size):
        return np.zeros(size)


@pytest.mark.parametrize(
    ("name", "sizes", "fingerprint"),
    [
        ("lds", [500, 100, 200], "5fe4713197209591"),
        ("pendulum", [500, 100, 200], "55cf2aa81ed951df"),
        ("switching", [500, 100, 200], "dc2947dccfd071c2"),
        ("pinwheel", [500, 500, 2000], "f0726344ae69caed"),
    ],
)
def test_they_are_always_the_same(name, sizes, fingerprint):
    """Written here: were they to change, numbers from before would not be comparable."""
    data = load(name)
    assert [len(data.split(s)) for s in SPLITS] == sizes
    assert data.fingerprint == fingerprint
    assert load(name, binarize=False).fingerprint == fingerprint


def test_lds_has_the_covariances_of_its_parameters():
    """At a lag of 0, 1 and 3 steps: C F^lag C^T, with R at lag 0 (z is N(0, I) throughout)."""
    data, p = load("lds"), lds.system()
    assert data.support == "real"
    assert {data.lengths("train").min(), data.lengths("train").max()} == {20, 50}
    np.testing.assert_allclose(p.F @ p.F.T + p.Q, np.eye(2), atol=1e-12)
    rng = np.random.RandomState(1)
    x = np.stack([lds.simulate(rng, 12) for _ in range(4000)]).astype(np.float64)
    for lag in (0, 1, 3):
        later, earlier = x[:, lag:].reshape(-1, 5), x[:, : 12 - lag].reshape(-1, 5)
        expected = p.C @ np.linalg.matrix_power(p.F, lag) @ p.C.T + (p.R if lag == 0 else 0)
        np.testing.assert_allclose(later.T @ earlier / len(later), expected, atol=0.1)
    start = x[:, 0].T @ x[:, 0] / len(x)
    np.testing.assert_allclose(start, p.C @ p.initial_cov @ p.C.T + p.R, atol=0.15)


def test_pendulum_is_of_binary_images_and_torques():
    data = load("pendulum")
    assert (data.support, data.shape) == ("binary", (40, 16, 16))
    assert data.summary.sequence.num_actions == 1
    assert data.summary.sequence.frames == {"train": 20_000, "validation": 4_000, "test": 8_000}
    actions = data.given["train"].actions
    assert actions.dtype == np.float32
    assert -1 <= actions.min() < -0.99 and 0.99 < actions.max() <= 1
    assert not actions[:, 0].any()
    assert abs((actions[:, 2:] == actions[:, 1:-1]).mean() - 0.75) < 0.01
    ink = data.train.reshape(-1, 256).sum(axis=1)
    assert 18 <= ink.min() and ink.max() <= 34  # a rod in every image, wherever it points


def test_pendulum_images_follow_its_physics():
    """Hanging at rest it stays; let go, it swings and comes to rest; mirrored torques and angles
    give mirrored images; other torques give other futures after they first act."""
    still = np.zeros((2, 400, 1))
    images = pendulum.simulate(NoNoise(), still, np.array([[0.0, 0.0], [1.0, 0.0]]))
    assert (images[0] == images[0, 0]).all()
    assert (images[0, 0, :8].sum(), images[0, 0].sum()) == (2, 32)
    assert images[1, :40].std(axis=0).any()
    # At rest the rod's long edges lie on pixel centres: those 8 go either way.
    assert (images[1, -1] != images[0, 0]).sum() <= 8
    rng = np.random.RandomState(1)
    actions, initial = pendulum.draw_actions(rng, 20), pendulum.draw_initial(rng, 20)
    there = pendulum.simulate(NoNoise(), actions, initial)
    mirrored = pendulum.simulate(NoNoise(), -actions, -initial)
    assert (there != mirrored[..., ::-1]).mean() < 1e-3
    others = actions.copy()
    others[:, 20:] = -1
    future = pendulum.simulate(NoNoise(), others, initial)
    np.testing.assert_array_equal(future[:, :20], there[:, :20])
    assert (future[:, 30:] != there[:, 30:]).any(axis=(1, 2, 3)).all()


def test_a_torque_pushes_the_way_its_sign_says():
    pushed = pendulum.simulate(NoNoise(), np.ones((1, 4, 1)), np.zeros((1, 2)))[0, -1]
    assert pushed[:, 8:].sum() > 2 * pushed[:, :8].sum()


def test_switching_moves_by_its_regimes():
    """Regimes last as their chain says; the mean of x follows the regime's step in each of them."""
    p, rng = switching.system(), np.random.RandomState(1)
    x, s = map(np.stack, zip(*[switching.simulate(rng, 60) for _ in range(1500)], strict=True))
    stays = s[:, 1:] == s[:, :-1]
    assert abs(stays.mean() - 0.95) < 4 * np.sqrt(0.95 * 0.05 / stays.size)
    seen = np.linalg.pinv(p.C)  # of noise R: E[seen x | z] = z
    z = x @ seen.T
    for regime in range(3):
        now = s[:, 1:] == regime
        moved = z[:, :-1][now] @ p.F[regime].T + p.b[regime]
        difference = (z[:, 1:][now] - moved).mean(axis=0)
        noise = seen @ p.R @ seen.T
        variance = noise + p.F[regime] @ noise @ p.F[regime].T + p.Q
        assert np.all(np.abs(difference) < 4 * np.sqrt(np.diag(variance) / now.sum()))


def test_pinwheel_untwists_to_its_noise():
    """Turned back by the angle of its arm and the bend, a point is (1 + 0.3 e, 0.05 e')."""
    x, arm = pinwheel.points(np.random.RandomState(1), 4000)
    z = (x[:, 0] + 1j * x[:, 1]) / 10
    along = np.abs(z)  # to the tangential noise, which is small beside it
    for _ in range(20):
        straight = z * np.exp(-1j * (2 * np.pi * arm / 5 + 0.25 * np.exp(along)))
        along = straight.real
    far = np.abs(along - 1) < 0.6  # where the untwisting converges
    assert far.mean() > 0.9
    assert abs(straight.imag[far].std() - 0.05) < 0.003
    assert abs(along.mean() - 1) < 0.02 and abs(along.std() - 0.3) < 0.015
    assert np.abs(np.bincount(arm) / 4000 - 0.2).max() < 0.03
