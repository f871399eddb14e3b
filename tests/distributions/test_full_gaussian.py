"""FullGaussian against scipy's multivariate normal and TFP."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from tensorflow_probability.substrates.jax import distributions as tfd

from vaejax.distributions import DiagonalGaussian, FullGaussian

SHAPES = [(), (1,), (4,), (2, 3)]


def parameters(shape, seed=0):
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    mean, log_scale = rng.normal(size=(2, *shape))
    return mean, 0.5 * log_scale, rng.normal(size=size * (size - 1) // 2)


def factor(log_scale, lower):
    """L = diag(exp(log_scale)) (I + A), entry by entry."""
    size, entries = log_scale.size, iter(lower)
    unit = np.eye(size)
    for i in range(size):
        for j in range(i):
            unit[i, j] = next(entries)
    return np.exp(log_scale).reshape(-1, 1) * unit


def truth(mean, log_scale, lower):
    square_root = factor(log_scale, lower)
    return scipy.stats.multivariate_normal(mean.reshape(-1), square_root @ square_root.T)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("leading", [(), (4,), (2, 3)])
def test_log_prob_is_that_of_scipy(shape, leading):
    p = parameters(shape)
    x = 2 * np.random.default_rng(1).normal(size=(*leading, *shape))
    log_prob = jax.jit(lambda p, x: FullGaussian(*p).log_prob(x))(p, x)
    expected = truth(*p).logpdf(x.reshape(*leading, -1))
    assert log_prob.shape == leading
    np.testing.assert_allclose(log_prob, np.reshape(expected, leading), rtol=2e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_entropy_mean_and_stddev(shape):
    p = parameters(shape)
    assert FullGaussian(*p).event_shape == shape

    @jax.jit
    def asked(p):
        q = FullGaussian(*p)
        return q.entropy(), q.stddev(), q.mean()

    entropy, stddev, mean = asked(p)
    np.testing.assert_allclose(entropy, truth(*p).entropy(), rtol=1e-5)
    variance = np.diag(np.atleast_2d(truth(*p).cov)).reshape(shape)
    np.testing.assert_allclose(stddev, np.sqrt(variance), rtol=1e-5)
    np.testing.assert_allclose(mean, p[0], rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_kl_to_a_diagonal_gaussian_is_that_of_tfp(shape):
    mean, log_scale, lower = parameters(shape)
    n, log_t, _ = parameters(shape, 1)
    factors = factor(log_scale, lower), np.diag(np.exp(log_t).reshape(-1))

    @jax.jit
    def both(mean, log_scale, lower, n, log_t, factors):
        q, p = FullGaussian(mean, log_scale, lower), DiagonalGaussian(n, log_t)
        expected = tfd.kl_divergence(
            *(
                tfd.MultivariateNormalTriL(m.reshape(-1), L)
                for m, L in zip((mean, n), factors, strict=True)
            )
        )
        return q.kl_divergence(p), expected

    found, expected = both(mean, log_scale, lower, n, log_t, factors)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_kl_without_a_closed_form_is_not_implemented():
    with pytest.raises(NotImplementedError):
        FullGaussian(*parameters((2,))).kl_divergence(tfd.Laplace(jnp.zeros(2), 1.0))


@pytest.mark.parametrize("sample_shape", [(), (5,), (2, 5)])
def test_sample_and_log_prob_agree(sample_shape):
    p = parameters((2, 3))
    draws, log_prob = jax.jit(
        lambda key: FullGaussian(*p).sample_and_log_prob(seed=key, sample_shape=sample_shape)
    )(jax.random.key(0))
    assert draws.shape == (*sample_shape, 2, 3)
    expected = truth(*p).logpdf(np.asarray(draws, np.float64).reshape(*sample_shape, 6))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-4)


def test_means_and_covariances_of_samples():
    p = parameters((3,))
    sample = jax.jit(lambda key: FullGaussian(*p).sample(seed=key, sample_shape=(20_000,)))
    draws = sample(jax.random.key(0))
    residuals = np.asarray(draws, np.float64) - p[0]
    products = residuals[:, :, None] * residuals[:, None, :]
    for moment, expected in ((residuals, np.zeros(3)), (products, truth(*p).cov)):
        standard_error = moment.std(axis=0, ddof=1) / np.sqrt(len(moment))
        assert np.all(np.abs(moment.mean(axis=0) - expected) < 4 * standard_error)


def test_samples_are_reparameterized():
    """z = mean + exp(log_scale) (I + A) e: with e from one draw, dz/dparameters by hand."""
    p = parameters((3,))
    sample = lambda p: FullGaussian(*p).sample(seed=jax.random.key(3))  # noqa: E731
    by_mean, by_log_scale, by_lower = jax.jit(jax.jacobian(sample))(p)
    z = jax.jit(sample)(p)
    noise = np.linalg.solve(factor(np.asarray(p[1]), p[2]), z - p[0])
    scale = np.exp(p[1])
    np.testing.assert_allclose(by_mean, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(by_log_scale, np.diag(z - p[0]), rtol=1e-5, atol=1e-6)
    expected = np.zeros((3, 3))
    expected[1, 0], expected[2, 1:] = scale[1] * noise[0], scale[2] * noise[:2]
    np.testing.assert_allclose(by_lower, expected, rtol=1e-4, atol=1e-6)


def test_under_vmap():
    several = [parameters((3,), seed) for seed in range(5)]
    x = np.random.default_rng(2).normal(size=(5, 3))
    stacked = tuple(map(np.stack, zip(*several, strict=True)))
    log_probs = jax.jit(jax.vmap(lambda p, x: FullGaussian(*p).log_prob(x)))(stacked, x)
    expected = [truth(*p).logpdf(x) for p, x in zip(several, x, strict=True)]
    np.testing.assert_allclose(log_probs, expected, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_that_of_the_parameters(dtype):
    def numbers(*p):
        q = FullGaussian(*p)
        z, log_q = q.sample_and_log_prob(seed=jax.random.key(0))
        kl = q.kl_divergence(DiagonalGaussian(q.loc, q.log_scale))
        return z, log_q, q.log_prob(z), kl, q.entropy()

    with jax.enable_x64(True):
        p = (jnp.zeros(size, dtype) for size in (2, 2, 1))
        assert {str(a.dtype) for a in jax.eval_shape(numbers, *p)} == {dtype}


@pytest.mark.parametrize("sizes", [(2, 3, 1), (3, 3, 2), (2, 2, 2)])
def test_shapes_that_disagree_are_refused(sizes):
    with pytest.raises(ValueError, match=r"must agree.*below the diagonal"):
        FullGaussian(*map(jnp.zeros, sizes))
