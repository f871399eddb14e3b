"""Gradient estimators whose mean and variance are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.evaluation.test_evaluate import EXACT, MODEL, WIDER, XS, B, S, W, posterior_means
from tests.runs import examples
from vaejax.errors import UserError
from vaejax.evaluation import GradientQuality, gradient_quality
from vaejax.evaluation.gradient_quality import (
    _MAX_DRAWS,
    _gradient,
    compiled,
    cost,
    moments,
    quality,
)
from vaejax.objectives import iwae
from vaejax.types import Params

RNG = np.random.default_rng(0)
MEAN = jnp.asarray(RNG.normal(size=200), jnp.float32)
SD = jnp.asarray(np.exp(RNG.normal(size=200)), jnp.float32).at[:20].set(0.0)


def normal(shared, key):
    mean, sd = shared
    return mean + sd * jax.random.normal(key, mean.shape)


NORMAL = compiled(normal)


def of(seed, replicates, mean=MEAN, sd=SD):
    return moments(jax.random.key(seed), NORMAL, (mean, sd), replicates)


def test_moments_are_those_of_all_replicates():
    """Ten groups of 25 or 26 against numpy, where a sum of squares would have lost all digits."""
    mean, key = MEAN + 3e3, jax.random.key(0)
    found = of(0, 255, mean)
    assert found.replicates.sum() == 255
    draws = [normal((mean, SD), jax.random.fold_in(key, r)) for r in range(255)]
    edges = np.concatenate([[0], np.cumsum(found.replicates)])
    for g in (0, 9):
        group = np.asarray(draws[edges[g] : edges[g + 1]], np.float64)
        np.testing.assert_allclose(found.mean[g], group.mean(axis=0), rtol=1e-6)
        squares = len(group) * group.var(axis=0)
        np.testing.assert_allclose(found.squares[g], squares, rtol=1e-3, atol=1e-3)


def test_known_bias_variance_and_snr():
    found = quality(of(0, 2000), of(1, 4000))
    assert (found["parameters"], found["fixed"]) == (200, 20)
    sd, mean = np.asarray(SD, np.float64)[20:], np.asarray(MEAN, np.float64)
    assert abs(found["variance"] - np.sum(sd**2)) < 4 * found["variance_std_error"]
    # Error of tr Cov of normals: sqrt(2 sum sd^4 / R).
    assert 0.4 < found["variance_std_error"] / np.sqrt(2 * np.sum(sd**4) / 2000) < 2
    snr = np.median(np.abs(mean[20:]) / sd)
    assert abs(found["snr"] - snr) < 4 * found["snr_std_error"] < 0.3 * snr
    floor = np.sqrt(np.sum(sd**2) * (1 / 2000 + 1 / 4000)) / np.linalg.norm(mean)
    assert found["bias_floor"] == pytest.approx(floor, rel=0.05)
    assert found["bias"] == pytest.approx(floor, rel=0.3)
    assert abs(found["bias_z"]) < 3


def test_a_bias_is_found_and_measured():
    shift = 0.15 * jnp.ones(200)
    found = quality(of(0, 2000, MEAN + shift), of(1, 4000))
    truth = float(jnp.linalg.norm(shift) / jnp.linalg.norm(MEAN))
    assert found["bias"] ** 2 - found["bias_floor"] ** 2 == pytest.approx(truth**2, rel=0.2)
    assert found["bias_z"] > 5


def test_excess_has_mean_zero_and_unit_size_without_bias():
    zs = [quality(of(2 * i, 40), of(2 * i + 1, 40))["bias_z"] for i in range(40)]
    assert abs(np.mean(zs)) < 4 / 40**0.5
    assert 0.6 < np.std(zs) < 1.5


def test_snr_of_a_zero_mean_is_at_its_floor():
    zero, one = jnp.zeros(4000), jnp.ones(4000)
    found = quality(of(0, 400, zero, one), of(1, 400, zero, one))
    assert found["snr"] == pytest.approx(found["snr_floor"], rel=0.1)


def test_what_does_not_vary_has_no_snr():
    found = quality(of(0, 20, sd=jnp.zeros(200)), of(1, 20, sd=jnp.zeros(200)))
    assert found["snr"] is None and found["bias_z"] is None
    assert found["bias"] == found["variance"] == 0
    assert found["fixed"] == 200


SMALL = GradientQuality(examples=6, num_samples=(1, 5), replicates=1000, reference_samples=2000)


def params(phi):
    return Params(MODEL.init(None), jnp.asarray(phi))


def rows_of(network, phi):
    counted = []
    rows = gradient_quality(
        jax.random.key(0),
        MODEL,
        network,
        params(phi),
        examples(XS[:6]),
        SMALL,
        progress=counted.append,
    )
    assert sum(counted) == cost(SMALL)
    return {(r["estimator"], r["num_samples"], r["part"]): r for r in rows}


def test_every_estimator_is_unbiased_for_both_parts_and_the_path_has_less_variance():
    rows = rows_of(WIDER, 0.5)
    k1 = ("ELBO", "ELBO, KL sampled", "sticking the landing")
    names = [(name, 1) for name in k1] + [("IWAE", 5), ("DReG", 5)]
    assert set(rows) == {(*name, part) for name in names for part in ("encoder", "decoder")}
    for row in rows.values():
        assert row["bias_z"] < 4
        assert row["bias"] < 4 * row["bias_floor"] < 1
        assert row["parameters"] == {"encoder": 1, "decoder": 6}[row["part"]]

    def ratio(part):
        return rows["DReG", 5, part]["variance"] / rows["IWAE", 5, part]["variance"]

    assert ratio("encoder") < 0.5
    assert 0.6 < ratio("decoder") < 1.6
    # The reference of K = 1, from the closed form: q's mean is phi mu(x) + 0.1.
    mu = posterior_means(XS[:6])
    mean = 0.5 * mu + 0.1
    by_mean = (XS[:6] - B - mean[:, None] * W) @ W / S**2 - mean
    truth, row = abs(np.mean(by_mean * mu)), rows["ELBO", 1, "encoder"]
    assert row["gradient_norm"] == pytest.approx(truth, rel=4 * row["bias_floor"])


def test_at_the_exact_posterior_sticking_the_landing_does_not_vary():
    rows = rows_of(EXACT, 1.0)
    for row in (rows["sticking the landing", 1, "encoder"], rows["DReG", 5, "encoder"]):
        assert row["variance"] < 1e-8
    assert rows["ELBO", 1, "encoder"]["variance"] > 1e-3


def test_chunks_change_nothing():
    shared = params(1.0), examples(XS[:6])

    def objective(key, q, joint, x):
        return iwae(key, q, joint, x, num_samples=3)

    whole, ones, threes = (
        _gradient(MODEL, WIDER, objective, most, shared, jax.random.key(0))
        for most in (_MAX_DRAWS, 0, 4)
    )
    np.testing.assert_allclose(ones, whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(threes, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{"examples": 0}, {"num_samples": ()}, {"num_samples": (0, 8)}, {"replicates": 19}],
)
def test_settings_that_make_no_sense(settings):
    (name,) = settings
    with pytest.raises(UserError, match=f"{name} must be"):
        GradientQuality(**settings)
