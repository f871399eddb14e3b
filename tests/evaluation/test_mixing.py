"""Autocorrelation where it is known: x' = rho x + sqrt(1 - rho^2) e has rho^t at lag t, and
tau = (1 + rho) / (1 - rho)."""

import numpy as np
import pytest

from vaejax.evaluation import mixing


def autoregressive(rho, steps, n=8, d=2, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d))
    chains = [x]
    for _ in range(steps - 1):
        x = rho * x + (1 - rho**2) ** 0.5 * random.normal(size=(n, d))
        chains.append(x)
    return np.stack(chains)


def signs(chains):
    return (chains[..., 0] > 0).astype(int)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_the_time_of_an_autoregressive_chain(rho):
    tau = (1 + rho) / (1 - rho)
    steps = 3000
    found = []
    for seed in range(60):
        chains = autoregressive(rho, steps, seed=seed)
        found.append(mixing(chains, signs(chains)))
    assert all(f["reliable"] and f["reason"] is None for f in found)
    times = np.array([f["time"] for f in found])
    spread = times.std(ddof=1)
    # The window leaves a few thousandths of tau out.
    assert abs(times.mean() - tau) < 4 * spread / 60**0.5 + 0.01 * tau
    errors = np.array([f["time_std_error"] for f in found])
    assert 0.7 < np.sqrt(np.mean(errors**2)) / spread < 1.3
    by_lag = np.mean([f["autocorrelation"][:5] for f in found], axis=0)
    np.testing.assert_allclose(by_lag, rho ** np.arange(5.0), atol=0.01)
    # Signs of two Gaussians with correlation rho differ with probability arccos(rho) / pi.
    changes = np.array([f["label_changes"] for f in found])
    assert abs(changes.mean() - np.arccos(rho) / np.pi) < 4 * changes.std(ddof=1) / 60**0.5
    assert abs(np.mean([f["label_changes_independent"] for f in found]) - 0.5) < 0.01


def test_the_autocorrelation_by_loops():
    chains = np.random.default_rng(0).normal(size=(16, 3, 2))
    found = mixing(chains, signs(chains))
    kept = chains[8:] - chains[8:].mean(axis=(0, 1))
    for lag, value in enumerate(found["autocorrelation"]):
        products = [
            kept[s, i] @ kept[s + lag, i] for s in range(8 - lag) for i in range(kept.shape[1])
        ]
        np.testing.assert_allclose(value * np.mean(np.sum(kept**2, axis=2)), np.mean(products))
    assert len(found["autocorrelation"]) == 4


def test_what_comes_before_the_second_half_does_not_count():
    chains = autoregressive(0.5, 400)
    labels = signs(chains)
    before = mixing(chains, labels)
    chains[:200] = 1e3
    labels[:200] = 7
    assert mixing(chains, labels) == before


def test_too_short_or_stuck_chains_are_not_believed():
    short = autoregressive(0.95, 400)  # tau = 39
    found = mixing(short, signs(short))
    assert not found["reliable"]
    assert "longer chains" in found["reason"]
    # Each stays at its own mode: within itself it looks like white noise.
    stuck = 0.1 * np.random.default_rng(0).normal(size=(1000, 6, 2)) + np.arange(6)[:, None]
    found = mixing(stuck, np.tile(np.arange(6), (1000, 1)))
    assert not found["reliable"]
    assert "do not vanish within 250 steps" in found["reason"]
    assert found["autocorrelation"][-1] > 0.9
    assert found["label_changes"] == 0
    single = autoregressive(0.0, 1000, n=1)
    found = mixing(single, signs(single))
    assert not found["reliable"] and found["time_std_error"] is None
    found = mixing(np.ones((10, 2, 3)), np.ones((10, 2)))
    assert not found["reliable"] and found["time"] is None


@pytest.mark.parametrize(
    "chains, labels, words",
    [
        (np.ones((9, 2)), np.ones((9, 2)), r"\(steps, n, d\)"),
        (np.ones((9, 2, 3)), np.ones((9, 3)), r"\(9, 2, 3\) and \(9, 3\)"),
        (np.ones((7, 2, 3)), np.ones((7, 2)), "at least 8 steps"),
        (np.full((9, 2, 3), np.nan), np.ones((9, 2)), "finite"),
    ],
)
def test_what_is_refused(chains, labels, words):
    with pytest.raises(ValueError, match=words):
        mixing(chains, labels)
