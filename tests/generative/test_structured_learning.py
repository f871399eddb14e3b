"""Divergences of graphical models against Monte Carlo, a prior on a mixture's parameters against
SciPy, and expectation-maximization."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
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
    theta = jax.tree.map(np.asarray, jax.jit(prior.init)(KEY))
    random = np.random.default_rng(0)

    def moved(leaf):
        return leaf + size * random.normal(size=leaf.shape).astype(np.float32)

    return [jax.tree.map(moved, theta) for _ in range(2)]


def test_the_divergence_of_mixtures_is_that_of_the_component_and_z():
    theta, other = two_of(full_mixture_prior(2, num_components=3))
    random, n = np.random.default_rng(1), 100_000
    k = random.choice(3, size=n, p=scipy.special.softmax(np.float64(theta["logits"])))
    factors = np.asarray(factor_of(theta["factors"]))
    z = theta["means"][k] + np.einsum("nij,nj->ni", factors[k], random.normal(size=(n, 2)))

    def log_p(parameters):
        L = np.float64(factor_of(parameters["factors"]))[k]
        e = np.linalg.solve(L, (z - parameters["means"][k])[..., None])[..., 0]
        log_det = np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
        log_w = scipy.special.log_softmax(parameters["logits"])[k]
        return log_w - 0.5 * np.sum(e**2, axis=1) - log_det

    ratios = log_p(theta) - log_p(other)
    error = ratios.std() / np.sqrt(n)
    divergence = jax.jit(jax.value_and_grad(mixture_divergence, argnums=1))
    assert abs(divergence(theta, other)[0] - ratios.mean()) < 4 * error
    none, gradient = divergence(theta, theta)
    assert abs(none) < 1e-5
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradient)) < 1e-5


def test_the_divergence_of_linear_systems_is_that_of_their_chains():
    prior, steps = linear_dynamical_system(2), 6
    theta, other = two_of(prior, 0.1)
    given = Conditions(np.ones(steps, bool), ())

    @jax.jit
    def log_ratios(key, theta, other):
        p, p_other = (prior.distribution(part, given) for part in (theta, other))
        z = p.sample(seed=key, sample_shape=(20_000,))
        return jax.vmap(lambda z: p.log_prob(z) - p_other.log_prob(z))(z)

    ratios = np.asarray(log_ratios(KEY, theta, other), np.float64)
    divergence = functools.partial(dynamics_divergence, num_steps=steps)
    divergence = jax.jit(jax.value_and_grad(divergence, argnums=1))
    error = ratios.std() / np.sqrt(len(ratios))
    assert abs(divergence(theta, other)[0] - ratios.mean()) < 4 * error
    gradient = divergence(theta, theta)[1]
    assert max(np.abs(leaf).max(initial=0) for leaf in jax.tree.leaves(gradient)) < 1e-4


@pytest.mark.parametrize("d", [2, 6])
def test_the_density_of_a_mixtures_parameters_is_that_of_scipy(d):
    theta, _ = two_of(full_mixture_prior(d, num_components=3))
    prior = MixturePrior()

    @jax.jit
    def evaluated(theta):
        p = FullGaussianMixture(theta["logits"], theta["means"], factor_of(theta["factors"]))
        return p, prior.log_density(p)

    p, log_density = evaluated(theta)
    a, s, excess, c = prior
    n = d + excess
    w = scipy.special.softmax(np.float64(p.logits))
    expected = scipy.stats.dirichlet.logpdf(w / w.sum(), np.full(3, a))
    for m, L in zip(np.asarray(p.means), np.asarray(p.factors, np.float64), strict=True):
        S = L @ L.T
        expected += scipy.stats.invwishart.logpdf(S, n, s**2 * n * np.eye(d))
        expected += scipy.stats.multivariate_normal.logpdf(m, np.zeros(d), S / c)
    np.testing.assert_allclose(log_density, expected, rtol=1e-4)


def test_expectation_maximization_finds_three_clusters():
    centres = np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    random = np.random.RandomState(0)
    z = centres[random.randint(3, size=600)] + 0.3 * random.randn(600, 2)
    theta = fit_mixture(KEY, jnp.asarray(z, jnp.float32), 3, prior=MixturePrior())
    order = np.argsort(np.asarray(theta["means"])[:, 0])
    np.testing.assert_allclose(np.asarray(theta["means"])[order], centres[[0, 2, 1]], atol=0.1)
    np.testing.assert_allclose(scipy.special.softmax(theta["logits"]), 1 / 3, atol=0.06)
