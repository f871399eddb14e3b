"""Smoothing against dynamax, another library's: skipped where it is not installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from tests.distributions.test_linear_messages import D, chain, single
from vaejax.distributions import DiscreteChain, LinearChain, Potential

_WHY = "dynamax is not installed: what is compared with it is NOT checked (pip install dynamax)"
hidden_markov_model = pytest.importorskip("dynamax.hidden_markov_model", reason=_WHY)
linear_gaussian_ssm = pytest.importorskip("dynamax.linear_gaussian_ssm.inference", reason=_WHY)


@pytest.mark.parametrize("parallel", [False, True])
def test_a_linear_chain_smoothes_as_dynamax_does(parallel):
    length, n = 50, 4
    steps, _, _ = chain(1)
    random = np.random.default_rng(0)
    A, b, G = 0.5 * random.normal(size=(D, D)), random.normal(size=D), steps.G[0]
    C, R = random.normal(size=(n, D)), 0.3 * np.eye(n)
    x = random.normal(size=(length, n))
    params = linear_gaussian_ssm.make_lgssm_params(
        jnp.zeros(D), jnp.eye(D), A, G @ G.T, C, R, dynamics_bias=b
    )
    smoother = jax.jit(linear_gaussian_ssm.lgssm_smoother)
    found = smoother(single(params), np.float32(x))
    every = (np.broadcast_to(a, (length, *a.shape)).copy() for a in (A, b, G))
    A, b, G = every
    b[0], G[0] = 0.0, np.eye(D)
    J = C.T @ np.linalg.solve(R, C)
    h = np.linalg.solve(R, x.T).T @ C

    @jax.jit
    def smoothed(steps, h, J):
        q = LinearChain(*steps, parallel=parallel).posterior(Potential(h, J))
        return q.moments(), q.known_kl.value

    J = np.broadcast_to(J, (length, D, D))
    moments, kl = smoothed(*map(single, ((A, b, G), h, J)))
    np.testing.assert_allclose(moments.mean, found.smoothed_means, atol=1e-4)
    np.testing.assert_allclose(moments.covariance, found.smoothed_covariances, atol=1e-4)
    mean, covariance = np.asarray(moments.mean), np.asarray(moments.covariance)
    away = x - mean @ C.T
    spread = np.einsum("ni,tij,nj->t", C, covariance, C)
    expected = -0.5 * (np.sum(away**2, 1) + spread) / 0.3 - 0.5 * n * np.log(0.3 * 2 * np.pi)
    log_p = expected.sum() - float(kl)
    np.testing.assert_allclose(log_p, found.marginal_loglik, rtol=1e-4)


@pytest.mark.parametrize("parallel", [False, True])
def test_a_discrete_chain_smoothes_as_dynamax_does(parallel):
    length, k = 200, 4
    random = np.random.default_rng(0)
    transition, first = random.normal(size=(k, k)), random.normal(size=k)
    psi = np.float32(5 * random.normal(size=(length, k)))
    logits = np.broadcast_to(transition, (length, k, k)).copy()
    logits[0] = first
    probabilities = (np.float32(scipy.special.softmax(a, axis=-1)) for a in (first, transition))
    found = jax.jit(hidden_markov_model.hmm_smoother)(*probabilities, psi)

    @jax.jit
    def smoothed(logits, psi):
        q = DiscreteChain(logits, parallel=parallel).posterior(psi)
        return q.marginals(), q.known_kl.value

    marginals, kl = smoothed(np.float32(logits), psi)
    np.testing.assert_allclose(marginals, found.smoothed_probs, atol=1e-4)
    log_p = np.sum(marginals * psi) - kl
    np.testing.assert_allclose(log_p, found.marginal_loglik, rtol=1e-4)
