"""Reconstruction and MAP on z ~ N(0, I), x | z ~ N(W z + b, s^2 I)."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from vaejax.distributions import DiagonalGaussian, PointMass, standard_normal
from vaejax.objectives import maximum_a_posteriori, reconstruction
from vaejax.types import Joint

S = 0.8
W = np.array([[1.0, 0.6], [0.5, -0.4], [-0.7, 0.9]])
B = np.array([0.2, -0.1, 0.4])
X = np.array([1.0, -0.8, 0.5])
KEY = jax.random.key(0)


def joint(prior=None):
    return Joint(
        prior or standard_normal(2),
        lambda z: DiagonalGaussian(W @ z + jnp.asarray(B), jnp.full(3, np.log(S))),
    )


def value_and_gradient(objective):
    """location -> value and gradient at a point mass."""
    return jax.jit(jax.value_and_grad(lambda z: objective(KEY, PointMass(z), joint(), X).value))


def exact_log_likelihood(z):
    return scipy.stats.norm(z @ W.T + B, S).logpdf(X).sum(-1)


def exact_log_prior(z):
    return scipy.stats.norm.logpdf(z).sum(-1)


def test_values_at_a_point_mass():
    z = np.array([0.3, -1.1])
    terms = reconstruction(KEY, PointMass(jnp.asarray(z)), joint(), X)
    assert set(terms.metrics) == {"reconstruction"}
    for found in (terms.value, terms.metrics["reconstruction"]):
        np.testing.assert_allclose(found, exact_log_likelihood(z), rtol=1e-5)
    terms = maximum_a_posteriori(KEY, PointMass(jnp.asarray(z)), joint(), X)
    truth = exact_log_likelihood(z), exact_log_prior(z)
    found = terms.value, terms.metrics["reconstruction"], terms.metrics["log_prior"]
    np.testing.assert_allclose(found, [sum(truth), *truth], rtol=1e-5)


def test_means_at_a_q_with_a_density():
    """E_q[log p(x | z)] and E_q[log p(z)] for a diagonal Gaussian q."""
    mean, scale = np.array([0.4, -0.2]), np.array([0.5, 1.2])
    q = DiagonalGaussian(jnp.asarray(mean), jnp.log(scale))
    keys = jax.random.split(KEY, 4000)
    log_likelihood = exact_log_likelihood(mean) - np.sum(scale**2 * (W**2).sum(0)) / (2 * S**2)
    log_prior = exact_log_prior(mean) - np.sum(scale**2) / 2
    for objective, truth in (
        (reconstruction, log_likelihood),
        (maximum_a_posteriori, log_likelihood + log_prior),
    ):
        terms = jax.jit(jax.vmap(lambda key, f=objective: f(key, q, joint(), X)))(keys)
        draws = np.asarray(terms.value, np.float64)
        standard_error = draws.std(ddof=1) / np.sqrt(len(draws))
        assert abs(draws.mean() - truth) < 4 * standard_error


def test_maximum_of_map_is_the_mean_of_the_gaussian_posterior():
    mode = np.linalg.solve(np.eye(2) + W.T @ W / S**2, W.T @ (X - B) / S**2)
    _, gradient = value_and_gradient(maximum_a_posteriori)(mode)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_maximum_of_reconstruction_is_least_squares():
    least_squares = np.linalg.lstsq(W, X - B, rcond=None)[0]
    _, gradient = value_and_gradient(reconstruction)(least_squares)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_gradients_against_finite_differences_of_scipy():
    z = np.array([0.3, -1.1])
    steps = 1e-5 * np.eye(2)

    def differences(f):
        return (f(z + steps) - f(z - steps)) / 2e-5

    _, gradient = value_and_gradient(reconstruction)(z)
    np.testing.assert_allclose(gradient, differences(exact_log_likelihood), rtol=1e-4)
    _, gradient = value_and_gradient(maximum_a_posteriori)(z)
    truth = differences(exact_log_likelihood) + differences(exact_log_prior)
    np.testing.assert_allclose(gradient, truth, rtol=1e-4)


def test_prior_enters_map_alone():
    q, other = PointMass(jnp.ones(2)), DiagonalGaussian(jnp.ones(2), jnp.ones(2))
    change = scipy.stats.norm(1, np.e).logpdf(np.ones(2)).sum() - exact_log_prior(np.ones(2))
    for objective, truth in ((reconstruction, 0.0), (maximum_a_posteriori, change)):
        values = [objective(KEY, q, joint(prior), X).value for prior in (None, other)]
        np.testing.assert_allclose(values[1] - values[0], truth, atol=1e-5)
