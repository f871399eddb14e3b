"""Measures of samples against loops over pairs, against their expectations, and their errors
against the spread over independent replicates."""

import importlib

import numpy as np
import pytest

from vaejax.evaluation import sample_quality
from vaejax.evaluation.sample_quality import neighbour_measures, squared_mmd

MODULE = importlib.import_module("vaejax.evaluation.sample_quality")


def normal(seed, n, d=3, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(shift, scale, (n, d)).astype(np.float32)


def by_loops(reference, generated, k):
    """The four definitions, word for word."""

    def distance(a, b):
        return np.sqrt(np.sum((a.astype(np.float64) - b) ** 2))

    def radius(points, i):
        others = [distance(points[i], p) for j, p in enumerate(points) if j != i]
        return sorted(others)[k - 1]

    inside_real = np.array(
        [
            [distance(y, x) <= radius(reference, i) for i, x in enumerate(reference)]
            for y in generated
        ]
    )
    inside_fake = np.array(
        [
            [distance(x, y) <= radius(generated, j) for j, y in enumerate(generated)]
            for x in reference
        ]
    )
    return {
        "precision": inside_real.any(axis=1).mean(),
        "recall": inside_fake.any(axis=1).mean(),
        "density": inside_real.sum() / (k * len(generated)),
        "coverage": inside_real.any(axis=0).mean(),
    }


@pytest.mark.parametrize("k", [1, 3])
def test_neighbour_measures_by_loops(k, monkeypatch):
    reference, generated = normal(0, 20), normal(1, 31, shift=0.4, scale=0.6)
    expected = by_loops(reference, generated, k)
    assert all(0 < value for value in expected.values())
    assert len(set(expected.values())) >= 3
    for most in (10**7, 31 * 7):  # one block; blocks that do not divide the rows
        monkeypatch.setattr(MODULE, "_MAX_VALUES", most)
        found = neighbour_measures(reference, generated, k)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name].mean(), value, rtol=1e-12)


def test_the_same_distribution_has_the_expectations_of_the_paper():
    """Density 1; coverage 1 - (n-1)...(n-k) / ((n+m-1)...(n+m-k)) (Naeem et al. 2020, eq. 9)."""
    n, m, k = 40, 60, 5
    others = np.arange(1, k + 1)
    exact = {"density": 1.0, "coverage": 1 - np.prod((n - others) / (n + m - others))}
    found = [neighbour_measures(normal(2 * i, n), normal(2 * i + 1, m), k) for i in range(300)]
    for name, truth in exact.items():
        values = np.array([f[name].mean() for f in found])
        assert abs(values.mean() - truth) < 4 * values.std(ddof=1) / len(values) ** 0.5
        assert values.std(ddof=1) / len(values) ** 0.5 < 0.01


def test_far_apart_and_collapsed_samples():
    reference = normal(0, 60)
    apart = sample_quality(reference, reference + 100, seed=0)
    for name in ("precision", "recall", "density", "coverage"):
        assert apart[name] == {"value": 0.0, "std_error": 0.0}
    collapsed = sample_quality(reference, normal(1, 60, scale=0.01), seed=0)
    assert collapsed["precision"]["value"] == 1
    assert collapsed["density"]["value"] > 1
    assert collapsed["recall"]["value"] == 0
    assert collapsed["coverage"]["value"] < 0.5


def expected_kernel(a, b, d):
    """E (x . y / d + 1)^3 of independent Gaussians (mean, variance) of d equal dimensions, from
    their moments: E x, E xx', E xxx."""

    def moments(mean, variance):
        mu, cov = np.full(d, mean), variance * np.eye(d)
        third = np.einsum("a,b,c->abc", mu, mu, mu)
        third = third + np.einsum("a,bc->abc", mu, cov)
        third = third + np.einsum("b,ac->abc", mu, cov) + np.einsum("c,ab->abc", mu, cov)
        return mu, cov + np.outer(mu, mu), third

    first, second, third = (np.sum(p * q) for p, q in zip(moments(*a), moments(*b), strict=True))
    return 1 + 3 * first / d + 3 * second / d**2 + third / d**3


def test_mmd_is_unbiased():
    """Against the closed form for Gaussians, few points, and 0 for the same distribution."""
    d, real, fake = 3, (0.0, 1.0), (0.5, 0.49)
    pairs = ((real, real, 1), (fake, fake, 1), (real, fake, -2))
    exact = sum(factor * expected_kernel(a, b, d) for a, b, factor in pairs)
    assert exact > 0.3
    for truth, (mean, variance) in ((exact, fake), (0.0, real)):
        values = np.array(
            [
                squared_mmd(normal(2 * i, 8), normal(2 * i + 1, 5, d, mean, variance**0.5))[0]
                for i in range(1000)
            ]
        )
        error = values.std(ddof=1) / len(values) ** 0.5
        assert abs(values.mean() - truth) < 4 * error
        assert error < 0.1
        assert values.min() < 0


def test_mmd_and_its_jackknife_by_loops(monkeypatch):
    reference, generated = normal(0, 7), normal(1, 5, shift=0.5)

    def by_pairs(xs, ys):
        def kernel(a, b):
            return (float(a.astype(np.float64) @ b) / 3 + 1) ** 3

        def within(points):
            return np.mean(
                [kernel(a, b) for i, a in enumerate(points) for j, b in enumerate(points) if i != j]
            )

        across = np.mean([kernel(a, b) for a in xs for b in ys])
        return within(xs) + within(ys) - 2 * across

    monkeypatch.setattr(MODULE, "_MAX_VALUES", 10)
    value, error = squared_mmd(reference, generated)
    np.testing.assert_allclose(value, by_pairs(reference, generated), rtol=1e-4)
    left = [by_pairs(np.delete(reference, i, axis=0), generated) for i in range(7)]
    right = [by_pairs(reference, np.delete(generated, j, axis=0)) for j in range(5)]
    expected = 6 * np.var(left) + 4 * np.var(right)
    np.testing.assert_allclose(error, expected**0.5, rtol=1e-4)


@pytest.mark.parametrize("groups", ["halves", "more groups"])
def test_errors_are_the_spread_over_independent_replicates(groups, monkeypatch):
    """Within 30 percent: drawn anew 100 times, two times their error is 14 percent."""
    if groups == "more groups":
        monkeypatch.setattr(MODULE, "_GROUP", 60)
    found = [
        sample_quality(
            normal(2 * i, 300),
            normal(2 * i + 1, 240, shift=0.5, scale=0.7),
            num_bootstrap=10,
            seed=i,
        )
        for i in range(100)
    ]
    for name in ("precision", "recall", "density", "coverage", "mmd"):
        values, errors = (np.array([f[name][x] for f in found]) for x in ("value", "std_error"))
        ratio = np.sqrt(np.mean(errors**2)) / values.std(ddof=1)
        assert 0.7 < ratio < 1.3, (name, ratio)


def test_the_seed_decides_the_errors_alone():
    points = normal(0, 40), normal(1, 40)
    one, again, other = (sample_quality(*points, seed=seed) for seed in (0, 0, 1))
    assert one == again
    for name in ("precision", "recall", "density", "coverage"):
        assert one[name]["value"] == other[name]["value"]
        assert one[name]["std_error"] != other[name]["std_error"]


def test_too_few_points_for_an_error():
    found = sample_quality(normal(0, 11), normal(1, 11), seed=0)
    assert found["recall"]["std_error"] is None
    assert found["mmd"]["std_error"] > 0


@pytest.mark.parametrize(
    "arrays, settings, words",
    [
        ((normal(0, 5), normal(0, 9)), {}, "at least 6 reference points"),
        ((normal(0, 9), normal(0, 3)), {"num_neighbours": 3}, "at least 4 generated points"),
        ((normal(0, 9), normal(0, 9, d=2)), {}, "reference has 3, the generated ones 2"),
        ((normal(0, 9), normal(0, 9) * np.nan), {}, "finite generated points"),
        ((normal(0, 9), normal(0, 9)), {"num_neighbours": 0}, "num_neighbours of at least 1"),
    ],
)
def test_what_is_refused(arrays, settings, words):
    with pytest.raises(ValueError, match=words):
        sample_quality(*arrays, **settings, seed=0)
