"""DiagonalGaussian against scipy, TFP and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from tensorflow_probability.substrates.jax import distributions as tfd

from vaejax.distributions import DiagonalGaussian, standard_normal

SHAPES = [(), (3,), (2, 3)]


@jax.jit
def log_density(mean, log_scale, x):
    return DiagonalGaussian(mean, log_scale).log_prob(x)


@jax.jit
def divergence(m, log_s, n, log_t):
    return DiagonalGaussian(m, log_s).kl_divergence(DiagonalGaussian(n, log_t))


def central_differences(f, x, h=1e-5):
    """df/dx for each element of the vector x."""
    steps = h * np.eye(len(x))
    return (f(x + steps) - f(x - steps)) / (2 * h)


def parameters(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("leading", [(), (4,)])
def test_log_prob_is_the_sum_of_scipy_densities_over_the_event(shape, leading):
    mean, log_scale = parameters(shape)
    x = 2 * np.random.default_rng(1).normal(size=(*leading, *shape)).astype(np.float32)
    log_prob = log_density(mean, log_scale, x)
    truth = scipy.stats.norm(mean, np.exp(log_scale)).logpdf(x)
    np.testing.assert_allclose(log_prob, truth.reshape(*leading, -1).sum(-1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("log_scale", [-20.0, 20.0])
def test_log_prob_at_extreme_scales(log_scale):
    scale = np.exp(log_scale)
    log_prob = log_density(
        np.zeros(1, np.float32), np.full(1, log_scale, np.float32), np.float32(2 * scale)
    )
    np.testing.assert_allclose(log_prob, scipy.stats.norm(0, scale).logpdf(2 * scale), rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_kl_is_that_of_tfp(shape):
    (m, log_s), (n, log_t) = parameters(shape, 0), parameters(shape, 1)

    @jax.jit
    def both(m, log_s, n, log_t):
        q, p = DiagonalGaussian(m, log_s), DiagonalGaussian(n, log_t)
        truth = tfd.kl_divergence(tfd.Normal(m, jnp.exp(log_s)), tfd.Normal(n, jnp.exp(log_t)))
        return q.kl_per_dimension(p), q.kl_divergence(p), truth

    per_dimension, kl, truth = both(m, log_s, n, log_t)
    np.testing.assert_allclose(per_dimension, truth, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(kl, np.sum(truth), rtol=1e-4, atol=1e-5)
    assert kl.shape == ()


def test_kl_of_a_known_pair_is_not_symmetric():
    narrow = DiagonalGaussian(jnp.ones(2), jnp.full(2, np.log(0.5)))
    # KL(N(1, 1/4) || N(0, 1)) = log 2 + (1/4 + 1) / 2 - 1/2 for each of two dimensions.
    np.testing.assert_allclose(
        narrow.kl_divergence(standard_normal(2)), 2 * (np.log(2) + 0.125), rtol=1e-6
    )
    # KL(N(0, 1) || N(1, 1/4)) = -log 2 + (1 + 1) / (2/4) - 1/2.
    np.testing.assert_allclose(
        standard_normal(2).kl_divergence(narrow), 2 * (3.5 - np.log(2)), rtol=1e-6
    )


def test_kl_without_a_closed_form_is_not_implemented():
    with pytest.raises(NotImplementedError):
        standard_normal(2).kl_divergence(tfd.Laplace(jnp.zeros(2), 1.0))


@pytest.mark.parametrize("shape", SHAPES)
def test_entropy_mean_and_stddev(shape):
    mean, log_scale = parameters(shape)
    q = DiagonalGaussian(mean, log_scale)
    truth = scipy.stats.norm(mean, np.exp(log_scale))
    np.testing.assert_allclose(q.entropy(), np.sum(truth.entropy()), rtol=1e-5)
    np.testing.assert_allclose(q.stddev(), truth.std(), rtol=1e-6)
    np.testing.assert_array_equal(q.mean(), mean)
    assert q.event_shape == shape


def test_moments_of_samples():
    mean, log_scale = parameters((3,))
    q = DiagonalGaussian(mean, log_scale)
    sample = jax.jit(lambda key: q.sample(seed=key, sample_shape=(20_000,)))
    draws = sample(jax.random.key(0))
    residuals = (np.asarray(draws, np.float64) - mean) / np.exp(log_scale)
    products = residuals[:, :, None] * residuals[:, None, :]
    for moment, truth in ((residuals, np.zeros(3)), (products, np.eye(3))):
        standard_error = moment.std(axis=0, ddof=1) / np.sqrt(len(moment))
        assert np.all(np.abs(moment.mean(axis=0) - truth) < 4 * standard_error)


def test_samples_are_gaussian_in_distribution():
    keys = jax.random.split(jax.random.key(1), 5000)
    q = DiagonalGaussian(jnp.full((), 2.0), jnp.full((), -1.0))
    draws = jax.jit(jax.vmap(lambda key: q.sample(seed=key)))(keys)
    assert scipy.stats.kstest(draws, scipy.stats.norm(2.0, np.exp(-1)).cdf).pvalue > 0.01


@pytest.mark.parametrize("sample_shape", [(), (5,), (2, 5)])
def test_sample_and_log_prob_agree(sample_shape):
    mean, log_scale = parameters((2, 3))
    q = DiagonalGaussian(mean, log_scale)
    draw = jax.jit(lambda key: q.sample_and_log_prob(seed=key, sample_shape=sample_shape))
    draws, log_prob = draw(jax.random.key(0))
    truth = scipy.stats.norm(mean, np.exp(log_scale)).logpdf(draws).sum(axis=(-1, -2))
    assert draws.shape == (*sample_shape, 2, 3)
    np.testing.assert_allclose(log_prob, truth, rtol=1e-5, atol=1e-5)


def test_gradients_against_finite_differences():
    m, log_s, n, log_t = np.random.default_rng(0).normal(size=(4, 3))

    def both(v):
        return jnp.stack([log_density(v[:3], v[3:6], v[6:9]), divergence(*v.reshape(4, 3))])

    v = np.concatenate([m, log_s, n, log_t])
    with jax.enable_x64(True):
        gradients = jax.jit(jax.jacrev(both))(v)
        differences = central_differences(jax.jit(jax.vmap(both)), v)
    np.testing.assert_allclose(gradients.T, differences, rtol=1e-6, atol=1e-8)


def test_samples_are_reparameterized():
    """z = mean + scale noise: dz/dmean = 1, dz/dlog_scale = z - mean."""
    mean, log_scale = parameters((3,))

    def draw(mean, log_scale):
        return DiagonalGaussian(mean, log_scale).sample(seed=jax.random.key(3))

    by_mean, by_log_scale = jax.jit(jax.jacobian(draw, (0, 1)))(mean, log_scale)
    np.testing.assert_allclose(by_mean, np.eye(3), atol=1e-6)
    z = jax.jit(draw)(mean, log_scale)
    np.testing.assert_allclose(by_log_scale, np.diag(z - mean), rtol=1e-5, atol=1e-6)


def test_under_vmap():
    means, log_scales = parameters((6, 3))
    x = np.random.default_rng(2).normal(size=(6, 3)).astype(np.float32)
    log_probs = jax.vmap(log_density)(means, log_scales, x)
    truth = scipy.stats.norm(means, np.exp(log_scales)).logpdf(x).sum(-1)
    np.testing.assert_allclose(log_probs, truth, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_that_of_the_parameters(dtype):
    def numbers(*p):
        q = DiagonalGaussian(*p)
        z, log_q = q.sample_and_log_prob(seed=jax.random.key(0))
        return z, log_q, q.log_prob(z), q.kl_divergence(q), q.entropy()

    with jax.enable_x64(True):
        p = jnp.zeros((2, 2), dtype)
        assert {str(a.dtype) for a in jax.eval_shape(numbers, *p)} == {dtype}


def test_shapes_that_disagree_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        DiagonalGaussian(jnp.zeros(2), jnp.zeros(3))
