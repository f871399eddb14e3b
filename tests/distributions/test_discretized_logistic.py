"""DiscretizedLogistic against scipy's logistic, TFP's quantized distribution, and enumeration."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from tensorflow_probability.substrates.jax import distributions as tfd

from vaejax.distributions import DiscretizedLogistic

LOCATIONS = np.array([-1.0, 0.0, 0.3, 1.0, 2.5], np.float32)
LOG_SCALES = np.array([-6.0, -3.0, -1.0, 1.0], np.float32)


@partial(jax.jit, static_argnums=3)
def log_density(mean, log_scale, x, levels):
    return DiscretizedLogistic(mean, log_scale, levels).log_prob(x)


def log_masses(mean, log_scale, levels):
    """log P(x = k / levels), k = 0..levels, by the library."""
    grid = np.arange(levels + 1, dtype=np.float32) / levels
    return log_density(np.float32(mean), np.float32(log_scale), grid, levels)


def exact_log_masses(mean, log_scale, levels):
    """The same in float64 with scipy, each bin measured from the side where it is a tail."""
    logistic = scipy.stats.logistic(float(mean), np.exp(float(log_scale)))
    edges = (np.arange(levels) + 0.5) / levels
    log_cdf = np.concatenate([[-np.inf], logistic.logcdf(edges), [0.0]])
    log_sf = np.concatenate([[0.0], logistic.logsf(edges), [-np.inf]])
    with np.errstate(invalid="ignore", divide="ignore"):
        from_below = log_cdf[1:] + np.log1p(-np.exp(log_cdf[:-1] - log_cdf[1:]))
        from_above = log_sf[:-1] + np.log1p(-np.exp(log_sf[1:] - log_sf[:-1]))
    return np.where(log_cdf[1:] < log_sf[:-1], from_below, from_above)


@pytest.mark.parametrize("levels", [1, 3, 255])
def test_probabilities_sum_to_one(levels):
    for mean in LOCATIONS:
        for log_scale in LOG_SCALES:
            total = np.exp(np.float64(log_masses(mean, log_scale, levels))).sum()
            np.testing.assert_allclose(total, 1.0, atol=2e-4, err_msg=f"{mean} {log_scale}")


@pytest.mark.parametrize("levels", [1, 3, 255])
def test_each_mass_is_a_difference_of_logistic_cdfs(levels):
    for mean in LOCATIONS:
        for log_scale in LOG_SCALES:
            np.testing.assert_allclose(
                log_masses(mean, log_scale, levels),
                exact_log_masses(mean, log_scale, levels),
                rtol=1e-3,
                atol=1e-4,
                err_msg=f"{mean} {log_scale}",
            )


def test_masses_are_those_of_tfp():
    levels, mean, scale = 15, 0.4, 0.1
    # TFP's bin of k is (k - 1, k]; here it is centred on k.
    other = tfd.QuantizedDistribution(
        tfd.Logistic(mean * levels - 0.5, scale * levels), low=0.0, high=float(levels)
    )
    np.testing.assert_allclose(
        log_masses(mean, np.log(scale), levels),
        other.log_prob(np.arange(levels + 1.0)),
        rtol=1e-3,
        atol=1e-4,
    )


def test_event_is_summed_over_and_leading_axes_kept():
    rng = np.random.default_rng(0)
    mean = rng.uniform(size=(2, 3)).astype(np.float32)
    log_scale = rng.normal(size=(2, 3)).astype(np.float32) - 2
    levels = 7
    k = rng.integers(0, levels + 1, size=(4, 2, 3))
    log_prob = log_density(mean, log_scale, np.float32(k) / levels, levels)
    truth = [
        sum(exact_log_masses(mean[i], log_scale[i], levels)[row[i]] for i in np.ndindex(2, 3))
        for row in k
    ]
    np.testing.assert_allclose(log_prob, truth, rtol=1e-4)


def test_one_scale_is_shared_by_all():
    mean, x = np.array([0.1, 0.5], np.float32), np.array([0.0, 1.0], np.float32)
    shared = log_density(mean, np.float32(-2.0), x, 7)
    truth = exact_log_masses(0.1, -2.0, 7)[0] + exact_log_masses(0.5, -2.0, 7)[7]
    np.testing.assert_allclose(shared, truth, rtol=1e-4)


def test_extreme_parameters_stay_finite():
    cases = np.array([(m, s) for m in (-30, 0.5, 30) for s in (-7, 7)], np.float32)
    grid = np.arange(256, dtype=np.float32) / 255
    jacobian = jax.jit(jax.vmap(jax.jacfwd(lambda case: log_density(case[0], case[1], grid, 255))))
    for case, derivatives in zip(cases, jacobian(cases), strict=True):
        np.testing.assert_allclose(
            log_masses(*case, 255), exact_log_masses(*case, 255), rtol=1e-3, err_msg=str(case)
        )
        assert np.all(np.isfinite(derivatives)), case


def test_gradient_against_finite_differences():
    x = np.array([0.0, 3.0, 7.0]) / 7
    v = np.array([0.2, 0.5, 0.3, -1.0, -2.0, 0.5])
    steps = 1e-5 * np.eye(6)

    def f(v):
        return log_density(v[:3], v[3:], x, 7)

    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(f))(v)
        many = jax.jit(jax.vmap(f))
        differences = (many(v + steps) - many(v - steps)) / 2e-5
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("mean", [-0.1, 0.4, 1.3])
def test_frequencies_of_samples(mean):
    levels, log_scale, n = 7, -1.5, 20_000
    draws = DiscretizedLogistic(jnp.full((), mean), jnp.full((), log_scale), levels).sample(
        seed=jax.random.key(0), sample_shape=(n,)
    )
    k = np.asarray(draws, np.float64) * levels
    np.testing.assert_allclose(k, np.round(k), atol=1e-5)
    p = np.exp(exact_log_masses(mean, log_scale, levels))
    frequency = np.bincount(np.round(k).astype(int), minlength=levels + 1) / n
    assert np.all(np.abs(frequency - p) < 4 * np.sqrt(p * (1 - p) / n))


def test_sample_and_log_prob_agree_under_vmap():
    means = np.linspace(0, 1, 6, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    keys = jax.random.split(jax.random.key(0), 6)

    @jax.jit
    @jax.vmap
    def draw(mean, key):
        return DiscretizedLogistic(mean, jnp.float32(-2.0), 7).sample_and_log_prob(seed=key)

    x, log_prob = draw(means, keys)
    k = np.round(np.asarray(x) * 7).astype(int)
    truth = [
        sum(exact_log_masses(means[i, 0], -2.0, 7)[k[i, j]] for j in range(2)) for i in range(6)
    ]
    np.testing.assert_allclose(log_prob, truth, rtol=1e-4)


@pytest.mark.parametrize("mean", [-5.0, 0.2, 0.5, 5.0])
def test_mean_of_a_narrow_one(mean):
    """Within half a bin of sum_k (k / levels) P(k / levels)."""
    levels, log_scale = 255, -6.0
    exact = np.exp(exact_log_masses(mean, log_scale, levels)) @ (np.arange(levels + 1) / levels)
    stated = DiscretizedLogistic(jnp.full((), mean), jnp.float32(log_scale), levels).mean()
    assert abs(float(stated) - exact) < 0.5 / levels
