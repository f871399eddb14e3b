"""The mixture of full-covariance Gaussians against scipy and against its own moments."""

import jax
import numpy as np
import pytest
import scipy.stats

from vaejax.distributions import FullGaussianMixture

K, SHAPE, D = 3, (2, 2), 4


def parameters():
    random = np.random.RandomState(0)
    factors = np.tril(0.5 * random.randn(K, D, D)) + np.eye(D)
    return random.randn(K), 2 * random.randn(K, *SHAPE), factors


def weights(logits):
    return np.exp(logits) / np.exp(logits).sum()


def exact_log_density(z, logits, means, factors):
    normals = [
        scipy.stats.multivariate_normal(m.ravel(), factor @ factor.T)
        for m, factor in zip(means, factors, strict=True)
    ]
    components = [np.atleast_1d(normal.logpdf(z.reshape(-1, D))) for normal in normals]
    return scipy.special.logsumexp(np.log(weights(logits))[:, None] + components, axis=0)


def test_log_density_and_its_gradient():
    z = np.random.RandomState(1).randn(5, *SHAPE)
    with jax.enable_x64(True):

        @jax.jit
        def evaluated(z, *parameters):
            q = FullGaussianMixture(*parameters)
            return q.log_prob(z), *jax.value_and_grad(q.log_prob)(z[0])

        log_q, of_one, gradient = evaluated(z, *parameters())
    expected = exact_log_density(z, *parameters())
    np.testing.assert_allclose(log_q, expected, rtol=1e-8)
    np.testing.assert_allclose(of_one, expected[0])
    steps = 1e-5 * np.eye(D).reshape(D, *SHAPE)
    above, below = (exact_log_density(z[0] + s * steps, *parameters()) for s in (1, -1))
    np.testing.assert_allclose(gradient.ravel(), (above - below) / 2e-5, rtol=1e-5)


def test_samples_have_the_mixtures_moments():
    logits, means, factors = parameters()
    q, n = FullGaussianMixture(logits, means, factors), 20_000
    sample = jax.jit(lambda key: q.sample(seed=key, sample_shape=(n,)))
    z = np.asarray(sample(jax.random.key(0)))
    assert z.shape == (n, *SHAPE) and q.event_shape == SHAPE
    z, means = z.reshape(n, D), means.reshape(K, D)
    mean = weights(logits) @ means
    np.testing.assert_allclose(q.mean().ravel(), mean, rtol=1e-5)
    assert (np.abs(z.mean(0) - mean) < 4 * z.std(0) / np.sqrt(n)).all()
    centred = means - mean
    second = factors @ factors.transpose(0, 2, 1) + centred[:, :, None] * centred[:, None, :]
    covariance = np.tensordot(weights(logits), second, 1)
    products = (z - mean)[:, :, None] * (z - mean)[:, None, :]
    assert (np.abs(products.mean(0) - covariance) < 4.5 * products.std(0) / np.sqrt(n)).all()


def test_shapes_that_disagree_are_refused():
    logits, means, factors = parameters()
    for wrong in ((logits[:2], means, factors), (logits, means, factors[:, :3])):
        with pytest.raises(ValueError, match="must agree"):
            FullGaussianMixture(*wrong)


def test_a_degenerate_component_is_refused_by_its_number():
    logits, means, factors = parameters()
    for value in (0.0, np.nan):
        factors[1, 2, 2] = value
        with pytest.raises(ValueError, match="factor of component 1 must be finite"):
            FullGaussianMixture(logits, means, factors)
