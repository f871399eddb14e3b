"""Divergences of graphical models against Monte Carlo, a prior on a mixture's parameters against
SciPy, and expectation-maximization."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vaejax.distributions import FullGaussianMixture
from vaejax.distributions.factors import factor_of
from vaejax.generative import full_mixture_prior, linear_dynamical_system
from vaejax.generative.structured.dynamics_learning import dynamics_divergence
from vaejax.generative.structured.mixture_learning import (
    MixturePrior,
    fit_mixture,
    mixture_divergence,
)
from vaejax.types import Conditions

KEY = jax.random.key(0)


def two_of(prior, size=0.3):
    """Two parameters near each other."""
    found = []
    for i in range(2):
        theta = prior.init(KEY)
        leaves, structure = jax.tree.flatten(theta)
        keys = jax.random.split(jax.random.fold_in(KEY, i), len(leaves))
        moved = [
            x + size * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)
        ]
        found.append(jax.tree.unflatten(structure, moved))
    return found


def test_the_divergence_of_mixtures_is_that_of_the_component_and_z():
    theta, other = two_of(full_mixture_prior(2, num_components=3))
    component_key, noise_key = jax.random.split(KEY)
    n = 100_000
    k = jax.random.categorical(component_key, theta["logits"], shape=(n,))
    factors = factor_of(theta["factors"])
    noise = jax.random.normal(noise_key, (n, 2))
    z = theta["means"][k] + jnp.einsum("nij,nj->ni", factors[k], noise)

    def log_p(parameters):
        L = factor_of(parameters["factors"])[k]
        e = jnp.linalg.solve(L, (z - parameters["means"][k])[..., None])[..., 0]
        log_det = jnp.log(jnp.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
        log_w = jax.nn.log_softmax(parameters["logits"])[k]
        return log_w - 0.5 * jnp.sum(e**2, axis=1) - log_det

    ratios = np.asarray(log_p(theta) - log_p(other))
    error = ratios.std() / np.sqrt(n)
    assert abs(mixture_divergence(theta, other) - ratios.mean()) < 4 * error
    assert abs(mixture_divergence(theta, theta)) < 1e-5
    gradient = jax.grad(mixture_divergence, argnums=1)(theta, theta)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient)) < 1e-5


def test_the_divergence_of_linear_systems_is_that_of_their_chains():
    prior, steps = linear_dynamical_system(2), 6
    theta, other = two_of(prior, 0.1)
    given = Conditions(jnp.ones(steps, bool), ())
    p, p_other = (prior.distribution(part, given) for part in (theta, other))
    z = p.sample(seed=KEY, sample_shape=(20_000,))
    ratios = np.asarray(jax.vmap(lambda z: p.log_prob(z) - p_other.log_prob(z))(z))
    divergence = functools.partial(dynamics_divergence, num_steps=steps)
    assert abs(divergence(theta, other) - ratios.mean()) < 4 * ratios.std() / np.sqrt(len(z))
    gradient = jax.grad(divergence, argnums=1)(theta, theta)
    assert max(float(jnp.abs(leaf).max(initial=0)) for leaf in jax.tree.leaves(gradient)) < 1e-4


@pytest.mark.parametrize("d", [2, 6])
def test_the_density_of_a_mixtures_parameters_is_that_of_scipy(d):
    theta, _ = two_of(full_mixture_prior(d, num_components=3))
    p = FullGaussianMixture(theta["logits"], theta["means"], factor_of(theta["factors"]))
    prior = MixturePrior()
    a, s, excess, c = prior
    n = d + excess
    w = np.asarray(jax.nn.softmax(p.logits), np.float64)
    expected = scipy.stats.dirichlet.logpdf(w / w.sum(), np.full(3, a))
    for m, L in zip(np.asarray(p.means), np.asarray(p.factors, np.float64), strict=True):
        S = L @ L.T
        expected += scipy.stats.invwishart.logpdf(S, n, s**2 * n * np.eye(d))
        expected += scipy.stats.multivariate_normal.logpdf(m, np.zeros(d), S / c)
    np.testing.assert_allclose(prior.log_density(p), expected, rtol=1e-4)


def test_expectation_maximization_finds_three_clusters():
    centres = np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    random = np.random.RandomState(0)
    z = centres[random.randint(3, size=600)] + 0.3 * random.randn(600, 2)
    theta = fit_mixture(KEY, jnp.asarray(z, jnp.float32), 3, prior=MixturePrior())
    order = np.argsort(np.asarray(theta["means"])[:, 0])
    np.testing.assert_allclose(np.asarray(theta["means"])[order], centres[[0, 2, 1]], atol=0.1)
    np.testing.assert_allclose(jax.nn.softmax(theta["logits"]), 1 / 3, atol=0.06)
