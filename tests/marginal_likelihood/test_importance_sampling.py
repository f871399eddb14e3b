"""Importance sampling where log p(x) is exact, and its weights' error, ESS and k-hat in numpy."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from vaejax.distributions import Bernoulli, DiagonalGaussian, PointMass, standard_normal
from vaejax.marginal_likelihood import Estimates, importance_sampling, weights
from vaejax.marginal_likelihood.estimate import estimate_of
from vaejax.marginal_likelihood.weights import (
    effective_sample_size,
    log_mean_exp,
    pareto_khat,
    std_error_of_log_mean,
)
from vaejax.types import Joint, LogJoint


def linear_gaussian(x_dim, z_dim):
    """(joint, x, q, log p(x)) with z ~ N(0, I), x | z ~ N(W z + b, s^2 I); q is off, and wider
    than the posterior in every direction, so that the weights are bounded."""
    rng = np.random.default_rng(z_dim)
    w, b, x = rng.normal(size=(x_dim, z_dim)), rng.normal(size=x_dim), rng.normal(size=x_dim)
    s = 0.9
    covariance = np.linalg.inv(np.eye(z_dim) + w.T @ w / s**2)
    mean = covariance @ w.T @ (x - b) / s**2
    scale = np.sqrt(np.linalg.eigvalsh(covariance)[-1])
    joint = Joint(
        standard_normal(z_dim),
        lambda z: DiagonalGaussian(w @ z + jnp.asarray(b), jnp.full(x_dim, np.log(s))),
    )
    q = DiagonalGaussian(jnp.asarray(mean + 0.2 * scale), jnp.full(z_dim, np.log(1.3 * scale)))
    log_p = scipy.stats.multivariate_normal(b, w @ w.T + s**2 * np.eye(x_dim)).logpdf(x)
    return joint, jnp.asarray(x), q, log_p


def discrete():
    """(joint, x, q, log p(x)) with three binary z, summed over all eight."""
    rng = np.random.default_rng(0)
    prior, w, b = rng.normal(size=3), 2 * rng.normal(size=(5, 3)), rng.normal(size=5)
    x = rng.integers(0, 2, size=5).astype(np.float32)
    z = np.array(list(itertools.product([0, 1], repeat=3)))
    log_prior = scipy.stats.bernoulli(scipy.special.expit(prior)).logpmf(z).sum(-1)
    log_likelihood = scipy.stats.bernoulli(scipy.special.expit(z @ w.T + b)).logpmf(x).sum(-1)
    joint = Joint(Bernoulli(jnp.asarray(prior)), lambda z: Bernoulli(w @ z + jnp.asarray(b)))
    q = Bernoulli(jnp.asarray([0.3, -0.4, 0.0]))
    return joint, jnp.asarray(x), q, scipy.special.logsumexp(log_prior + log_likelihood)


MODELS = {
    "gaussian-3-1": linear_gaussian(3, 1),
    "gaussian-6-3": linear_gaussian(6, 3),
    "discrete": discrete(),
}
NUM_SAMPLES, REPLICATES = 40, 2000


@pytest.fixture(scope="module", params=MODELS)
def replicates(request):
    """(estimates of REPLICATES keys, log p(x)) of one model."""
    joint, x, q, log_p = MODELS[request.param]
    keys = jax.random.split(jax.random.key(0), REPLICATES)
    estimate = jax.vmap(lambda key: importance_sampling(key, joint, x, q, num_samples=NUM_SAMPLES))
    return jax.tree.map(partial(np.asarray, dtype=np.float64), jax.jit(estimate)(keys)), log_p


def standard_error(draws):
    return draws.std(ddof=1) / np.sqrt(len(draws))


def test_exponential_of_the_estimate_is_unbiased(replicates):
    estimates, log_p = replicates
    ratios = np.exp(estimates.value - log_p)
    assert abs(ratios.mean() - 1) < 3 * standard_error(ratios)
    assert standard_error(ratios) < 0.01  # or the line above would say little


def test_the_estimate_is_a_lower_bound_above_the_elbo(replicates):
    estimates, log_p = replicates
    assert estimates.value.mean() < log_p + 3 * standard_error(estimates.value)
    gain = estimates.value - estimates.diagnostics["elbo"]
    assert np.all(gain > -1e-5)  # Jensen's inequality, for every set of weights
    assert gain.mean() > 0.01


def test_std_error_is_the_sd_of_replicates(replicates):
    """The delta method's error is relative O(1/K); an sd of R draws has error 1 / sqrt(2 R)."""
    estimates, _ = replicates
    rms = np.sqrt(np.mean(estimates.std_error**2))
    tolerance = 4 / np.sqrt(2 * REPLICATES) + 2 / NUM_SAMPLES
    np.testing.assert_allclose(rms, estimates.value.std(ddof=1), rtol=tolerance)


def test_elbo_std_error_is_the_sd_of_replicates(replicates):
    estimates, _ = replicates
    elbo, error = (estimates.diagnostics[name] for name in ("elbo", "elbo_std_error"))
    rms = np.sqrt(np.mean(error**2))  # unbiased for the variance
    # The sd of a variance of R draws is at most sqrt(kurtosis / R) of it.
    kurtosis = scipy.stats.kurtosis(elbo, fisher=False)
    tolerance = 2 * np.sqrt(max(kurtosis, 3.0) / REPLICATES)
    np.testing.assert_allclose(rms, elbo.std(ddof=1), rtol=tolerance)


def test_elbo_and_its_parts_have_their_exact_means():
    """E_q log p(x | z) and KL(q || p) of the discrete model, summed over all eight z."""
    joint, x, q, _ = MODELS["discrete"]
    z = jnp.asarray(list(itertools.product([0.0, 1.0], repeat=3)))
    on = scipy.special.expit(np.asarray(q.logits, np.float64))
    q_z = np.prod(np.where(np.asarray(z) == 1, on, 1 - on), axis=-1)
    log_likelihood = np.asarray(jax.vmap(lambda z: joint.likelihood(z).log_prob(x))(z))
    reconstruction = q_z @ log_likelihood
    kl = q_z @ (np.log(q_z) - np.asarray(joint.prior.log_prob(z)))
    estimate = jax.jit(
        lambda key: importance_sampling(key, joint, x, q, num_samples=20_000, chunk_size=2000)
    )(jax.random.key(1))
    found = {name: float(value) for name, value in estimate.diagnostics.items()}
    sd = np.sqrt(q_z @ (log_likelihood - reconstruction) ** 2)
    assert abs(found["reconstruction"] - reconstruction) < 4 * sd / np.sqrt(20_000)
    assert abs(found["elbo"] - (reconstruction - kl)) < 4 * found["elbo_std_error"]
    np.testing.assert_allclose(
        found["reconstruction"] - found["kl"], found["elbo"], rtol=1e-5, atol=1e-5
    )


def log_weights(key, joint, x, q, count):
    """log p(x, z_k) / q(z_k) with z_k drawn from fold_in(key, k), in float64."""

    def one(index):
        z = q.sample(seed=jax.random.fold_in(key, index))
        return joint.log_prob(x, z) - q.log_prob(z)

    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(count)), np.float64)


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
def test_chunk_size_changes_nothing(chunk_size):
    """Each gives what numpy gives of the weights of keys fold_in(key, 0..102)."""
    joint, x, q, _ = MODELS["gaussian-6-3"]
    key, count = jax.random.key(2), 103
    log_w = log_weights(key, joint, x, q, count)
    w = np.exp(log_w - log_w.max())
    estimate = jax.jit(
        lambda key: importance_sampling(key, joint, x, q, num_samples=count, chunk_size=chunk_size)
    )(key)
    np.testing.assert_allclose(estimate.value, np.log(w.mean()) + log_w.max(), rtol=1e-5)
    np.testing.assert_allclose(
        estimate.std_error, w.std(ddof=1) / w.mean() / np.sqrt(count), rtol=1e-4
    )
    np.testing.assert_allclose(estimate.ess, w.sum() ** 2 / np.sum(w**2), rtol=1e-4)
    np.testing.assert_allclose(estimate.khat, numpy_khat(log_w), atol=1e-3)
    np.testing.assert_allclose(estimate.diagnostics["elbo"], log_w.mean(), rtol=1e-5)


def test_exact_posterior_as_q_has_no_error():
    w, s = np.array([[1.0], [0.5], [-0.7]]), 0.8
    x = np.array([0.3, -1.2, 2.0])
    precision = 1 + (w.T @ w / s**2).item()
    mean = w.T @ x / s**2 / precision
    joint = Joint(standard_normal(1), lambda z: DiagonalGaussian(w @ z, jnp.full(3, np.log(s))))
    q = DiagonalGaussian(jnp.asarray(mean), jnp.full(1, -0.5 * np.log(precision)))
    estimate = jax.jit(
        lambda key: importance_sampling(key, joint, jnp.asarray(x), q, num_samples=1000)
    )(jax.random.key(0))
    truth = scipy.stats.multivariate_normal(np.zeros(3), w @ w.T + s**2 * np.eye(3)).logpdf(x)
    np.testing.assert_allclose(estimate.value, truth, atol=2e-5)
    np.testing.assert_allclose(estimate.diagnostics["elbo"], truth, atol=2e-5)
    np.testing.assert_allclose(estimate.ess, 1000, rtol=1e-4)
    assert estimate.std_error < 1e-4
    assert estimate.khat < 0.7  # weights that differ by rounding alone have no heavy tail


# The weights alone.


def numpy_khat(log_w):
    """Tail index by Zhang & Stephens (2009), with the prior of Vehtari et al. (2024)."""
    w = np.sort(np.exp(np.asarray(log_w, np.float64) - np.max(log_w)))
    m = int(min(len(w) / 5, 3 * np.sqrt(len(w))))
    cutoff = w[-m - 1]
    tail = w[w > cutoff] - cutoff
    n = len(tail)
    if n < 5:
        return -np.inf
    b = []
    grid = 30 + int(np.sqrt(n))
    for j in range(1, grid + 1):
        quartile = tail[int(np.floor(n / 4 + 0.5)) - 1]
        b.append(1 / tail[-1] + (1 - np.sqrt(grid / (j - 0.5))) / (3 * quartile))
    b = np.array(b)
    k = np.array([np.mean(np.log(1 - bj * tail)) for bj in b])
    log_profile = n * (np.log(-b / k) - k - 1)
    weights = scipy.special.softmax(log_profile)
    k = np.mean(np.log(1 - np.sum(weights * b) * tail))
    return (n * k + 10 * 0.5) / (n + 10)


def pareto_log_weights(tail_index, size, seed=0):
    """Weights u^-k, whose tail is exactly generalized Pareto with shape k."""
    return -tail_index * np.log(np.random.default_rng(seed).uniform(size=size))


COMPILED = jax.jit(lambda log_w: (pareto_khat(log_w), effective_sample_size(log_w)))


@pytest.mark.parametrize("size", [25, 100, 900, 2500])
def test_khat_is_that_of_numpy(size):
    rng = np.random.default_rng(size)
    for log_w in (
        rng.normal(size=size) * 0.1,
        rng.normal(size=size) - 500.0,
        3 * rng.normal(size=size),
        np.log(rng.uniform(size=size)),
        pareto_log_weights(0.3, size),
        pareto_log_weights(0.9, size),
    ):
        log_w = log_w.astype(np.float32)
        np.testing.assert_allclose(COMPILED(log_w)[0], numpy_khat(log_w), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("tail_index", [0.3, 0.9])
def test_khat_of_a_known_tail(tail_index):
    """Its mean over replicates, the prior's pull (m k + 5) / (m + 10) towards 1/2 included."""
    log_w = pareto_log_weights(tail_index, (200, 10_000))
    khats = np.asarray(jax.jit(jax.vmap(pareto_khat))(log_w.astype(np.float32)), np.float64)
    m = 300
    # Zhang & Stephens report a bias of some hundredths at most; O(1 / m).
    truth = (m * tail_index + 5) / (m + 10)
    assert abs(khats.mean() - truth) < 4 * standard_error(khats) + 1 / m
    # The asymptotic sd of an estimate of k from m exceedances is (1 + k) / sqrt(m).
    np.testing.assert_allclose(khats.std(ddof=1), (1 + tail_index) / np.sqrt(m), rtol=0.25)
    assert np.mean((khats > 0.7) == (tail_index > 0.7)) > 0.9


def test_khat_of_bounded_weights_is_below_one_half():
    log_w = np.log(np.random.default_rng(0).uniform(size=2500)).astype(np.float32)
    assert COMPILED(log_w)[0] < 0.0  # the uniform's tail has shape -1


@pytest.mark.parametrize("p", [[0.97, 0.03], [0.9, 0.07, 0.02, 0.01]])
def test_khat_of_tied_weights(p):
    """A few distinct weights (a discrete z) are bounded: no tail to warn of."""
    rng = np.random.default_rng(0)
    log_w = rng.choice(0.5 * np.arange(len(p)), size=2500, p=p).astype(np.float32)
    assert numpy_khat(log_w) < 0.0
    assert COMPILED(log_w)[0] < 0.5


def test_khat_of_a_tail_beyond_the_range_of_exp():
    """Weights that underflow next to the largest are no ties."""
    assert COMPILED(pareto_log_weights(40.0, 2500).astype(np.float32))[0] > 0.7


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_khat_of_weights_that_are_not_finite_is_not_good(bad):
    """They must not look like the best of all values, -inf."""
    log_w = np.linspace(0, 1, 100).astype(np.float32)
    log_w[7] = bad
    assert not COMPILED(log_w)[0] < 0.7


def test_khat_does_not_change_with_a_factor_or_the_order():
    log_w = pareto_log_weights(0.6, 900).astype(np.float32)
    khat = COMPILED(log_w)[0]
    np.testing.assert_allclose(COMPILED(log_w[::-1].copy())[0], khat, rtol=1e-5)
    np.testing.assert_allclose(COMPILED(log_w + np.float32(64))[0], khat, rtol=1e-3)


def test_khat_needs_twenty_five_weights():
    assert np.isnan(COMPILED(pareto_log_weights(0.3, 24).astype(np.float32))[0])
    assert np.isfinite(COMPILED(pareto_log_weights(0.3, 25).astype(np.float32))[0])


def test_ess_of_known_weights():
    ess = effective_sample_size
    np.testing.assert_allclose(ess(jnp.zeros(10)), 10, rtol=1e-5)
    np.testing.assert_allclose(ess(jnp.asarray([0.0, -200.0, -300.0])), 1, rtol=1e-6)
    # (1 + 2 + 3)^2 / (1 + 4 + 9)
    np.testing.assert_allclose(ess(jnp.log(jnp.asarray([1.0, 2.0, 3.0]))), 36 / 14, rtol=1e-5)


@pytest.mark.parametrize("shift", [0.0, -100.0, -10_000.0])
def test_precision_of_ess_and_std_error_far_from_zero(shift):
    """log p(x) of an image is -100 to -10000 nats: the same float32 weights in float64, skewed to
    the left, so that the delta method's error is the larger."""
    log_w = -np.abs(np.random.default_rng(0).normal(size=5000) * 0.1) + shift
    log_w = log_w.astype(np.float32)
    w = np.exp(np.float64(log_w) - np.float64(log_w.max()))
    ess, error = jax.jit(lambda v: (effective_sample_size(v), std_error_of_log_mean(v)))(log_w)
    np.testing.assert_allclose(ess, w.sum() ** 2 / np.sum(w**2), rtol=1e-4)
    np.testing.assert_allclose(error, w.std(ddof=1) / w.mean() / np.sqrt(5000), rtol=0.01)


@pytest.mark.parametrize(("num_weights", "sd"), [(16, 0.5), (16, 1.0), (64, 1.0)])
def test_intervals_of_few_log_normal_weights_cover(num_weights, sd):
    """Of log-normal weights of mean 1, as annealing's are nearly, 95 % intervals that are stated.

    The delta method alone covers 0.91 at 16 weights of sd 1, and withholding those of an error
    above a quarter leaves 0.84: it withholds the ones that are right."""
    log_w = sd * jax.random.normal(jax.random.key(0), (20_000, num_weights)) - sd**2 / 2
    estimate = jax.jit(jax.vmap(lambda w: estimate_of(jax.random.key(1), w)[:4]))(log_w)
    low, high = Estimates(*map(np.asarray, estimate), diagnostics={}, method="").interval()
    stated = np.isfinite(high)
    assert stated.mean() > 0.9
    assert 0.92 < np.mean(((low <= 0) & (0 <= high))[stated]) < 0.97


def log_normal(key):
    return jax.random.normal(key, (1000,)) - 0.5


def students_t(key):
    """z ~ N(0, I) in two dimensions, for a posterior with a heavier tail."""
    z = jax.random.normal(key, (1000, 2))
    return jnp.sum(jax.scipy.stats.t.logpdf(z, 5) - jax.scipy.stats.norm.logpdf(z), axis=1)


@pytest.mark.parametrize("draw", [log_normal, students_t])
def test_intervals_of_a_thousand_weights_cover(draw):
    """Widened by the mean excess of the largest log weights, as they once were, 99.8 % of the first
    covered and 78 % of the second."""

    def one(key):
        estimate = estimate_of(key, draw(key))
        factor = estimate.diagnostics["interval_factor"]
        return estimate._replace(diagnostics={"interval_factor": factor})

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 2000))
    low, high = Estimates(*jax.tree.map(np.asarray, found), method="").interval()
    stated = np.isfinite(high)
    assert stated.mean() > 0.5
    assert 0.92 < np.mean(((low <= 0) & (0 <= high))[stated]) < 0.99


@pytest.mark.parametrize(("flagged", "stated"), [(2, 3), (3, 0)])
def test_no_interval_is_stated_where_most_examples_have_none(flagged, stated):
    """The others have drawn light weights by luck."""
    khat = np.where(np.arange(5) < flagged, 0.9, 0.1)
    numbers = np.zeros(5), np.full(5, 0.1), np.full(5, 90.0), khat
    estimates = Estimates(*numbers, {"num_draws": np.full(5, 200)}, "")
    assert np.isfinite(estimates.interval()[1]).sum() == stated


def test_equal_weights_are_not_widened():
    estimate = jax.jit(estimate_of)(jax.random.key(0), np.full(200, -5.0, np.float32))
    assert estimate.diagnostics["interval_factor"] == 1.0


def test_log_mean_exp_where_exp_would_underflow():
    log_w = np.array([-1000.0, -1001.0, -1500.0])
    truth = scipy.special.logsumexp(log_w) - np.log(3)
    np.testing.assert_allclose(log_mean_exp(jnp.asarray(log_w)), truth, rtol=1e-6)


def test_one_sample_has_no_error_estimate():
    joint, x, q, _ = MODELS["gaussian-3-1"]
    estimate = jax.jit(lambda key: importance_sampling(key, joint, x, q, num_samples=1))(
        jax.random.key(0)
    )
    truth = log_weights(jax.random.key(0), joint, x, q, 1)
    np.testing.assert_allclose(estimate.value, truth[0], rtol=1e-5)
    np.testing.assert_allclose(estimate.diagnostics["elbo"], truth[0], rtol=1e-5)
    assert np.isinf(estimate.std_error)
    assert np.isnan(estimate.khat)


@pytest.mark.parametrize("num_samples, chunk_size", [(0, 50), (-3, 50), (10, 0)])
def test_counts_below_one_are_refused(num_samples, chunk_size):
    joint, x, q, _ = MODELS["gaussian-3-1"]
    with pytest.raises(
        ValueError, match=r"_(samples|size) must be a whole number, at least 1; got"
    ):
        importance_sampling(
            jax.random.key(0), joint, x, q, num_samples=num_samples, chunk_size=chunk_size
        )


def test_a_point_mass_is_refused():
    joint, x, _, _ = MODELS["gaussian-3-1"]
    with pytest.raises(TypeError, match="no density"):
        importance_sampling(jax.random.key(0), joint, x, PointMass(jnp.zeros(1)), num_samples=3)


def test_a_stream_of_a_million_weights_loses_nothing():
    """Blocks merged one after another, in float32, against numpy in float64 on all at once."""
    log_w = (3.0 * np.random.RandomState(0).randn(1000, 1000) - 90.0).astype(np.float32)
    largest = weights.tail_size(log_w.size) + 1

    @jax.jit
    def stream(log_w):
        valid = jnp.ones(1000, bool)
        first = weights.summarize(log_w[0], valid, largest)

        def merge(carry, block):
            return carry.merge(weights.summarize(block, valid, largest)), None

        return jax.lax.scan(merge, first, log_w[1:])[0]

    summary = stream(log_w)
    w = np.exp(log_w.astype(np.float64).ravel() + 90.0)
    assert abs(float(summary.log_mean_exp()) - (np.log(w.mean()) - 90)) < 1e-5
    exact_error = w.std(ddof=1) / w.mean() / 1000
    assert float(summary.std_error()) == pytest.approx(exact_error, rel=1e-4)
    ess = w.sum() ** 2 / np.sum(w**2)
    assert float(summary.effective_sample_size()) == pytest.approx(ess, rel=1e-4)
    np.testing.assert_array_equal(summary.largest, np.sort(log_w.ravel())[::-1][:largest])
    skewness = np.mean((w - w.mean()) ** 3) / w.std() ** 3
    factor = float(weights.interval_factor(jnp.asarray(0.5), summary.scaled, w.size))
    assert factor - 1 == pytest.approx(56 * 0.5 * skewness**2 / w.size, rel=1e-3)


def test_bootstrap_and_delta_method_agree_where_weights_are_tame():
    log_w = jnp.asarray(0.3 * np.random.RandomState(1).randn(2000), jnp.float32)
    bootstrap = weights.bootstrap_std_error(jax.random.key(0), log_w, num_resamples=2000)
    assert float(bootstrap) == pytest.approx(float(weights.std_error_of_log_mean(log_w)), rel=0.06)
    # Over parts of the samples of one stream, as importance sampling keeps them.
    joint, x, q, _ = MODELS["gaussian-3-1"]
    estimate = jax.jit(lambda k: importance_sampling(k, joint, x, q, num_samples=5000))
    found = estimate(jax.random.key(1))
    ratio = float(found.diagnostics["bootstrap_std_error"] / found.std_error)
    assert 0.8 < ratio < 1.25


def test_a_mixture_with_the_prior_is_unbiased_and_bounds_the_weights():
    """q misses half of the posterior: alone its weights are unbounded, mixed at most p(x|z) / a."""
    joint, x, q, log_p = MODELS["gaussian-3-1"]
    narrow = DiagonalGaussian(q.loc, q.log_scale - 2.0)

    def run(key):
        return importance_sampling(key, joint, x, narrow, num_samples=500, defensive=0.3)

    estimate = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(3), 500))
    ratio = np.exp(np.asarray(estimate.value, np.float64) - log_p)
    assert abs(ratio.mean() - 1) < 3 * ratio.std(ddof=1) / np.sqrt(500)
    assert np.median(estimate.khat) < 0.5


def test_cubo_tends_to_its_closed_form():
    """1/2 log E_q[w^2] of Gaussians in one dimension, above log p(x), by quadrature."""
    prior, q = standard_normal(1), DiagonalGaussian(jnp.asarray([0.3]), jnp.asarray([-0.1]))
    joint = Joint(prior, lambda z: DiagonalGaussian(z, jnp.zeros(1)))
    x = jnp.asarray([1.0])
    z = np.linspace(-12, 12, 100_001)

    def normal(z, mean, scale):
        return np.exp(-0.5 * ((z - mean) / scale) ** 2) / scale / np.sqrt(2 * np.pi)

    joint_density = normal(z, 0, 1) * normal(1.0, z, 1)
    square = np.sum(joint_density**2 / normal(z, 0.3, np.exp(-0.1))) * (z[1] - z[0])
    estimate = jax.jit(
        lambda key: importance_sampling(key, joint, x, q, num_samples=200_000, chunk_size=2000)
    )(jax.random.key(0))
    cubo = float(estimate.diagnostics["cubo"])
    assert cubo == pytest.approx(0.5 * np.log(square), abs=0.005)
    assert cubo > np.log(joint_density.sum() * (z[1] - z[0]))


def test_one_function_is_enough():
    """A LogJoint gives the same log weights as its Joint."""
    joint, x, q, _ = MODELS["gaussian-3-1"]
    run = jax.jit(lambda k: importance_sampling(k, joint, x, q, num_samples=100))
    alone = jax.jit(
        lambda k: importance_sampling(k, LogJoint(joint.log_prob), x, q, num_samples=100)
    )
    whole, part = run(jax.random.key(0)), alone(jax.random.key(0))
    assert float(part.value) == pytest.approx(float(whole.value), abs=1e-5)
    assert "kl" not in part.diagnostics
