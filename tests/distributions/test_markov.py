"""Chains against the Kalman filter and against dense Gaussian algebra."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.tree_util import Partial

from tests.state_space import (
    F,
    M,
    P,
    Q,
    gaussian,
    kalman_log_likelihood,
    padded,
    sequence,
    smoother,
    state_space,
)
from vaejax.distributions import Markov, held_fixed, kl_form, sample_and_kl, standard_normal
from vaejax.objectives import elbo, iwae
from vaejax.types import Example, Params, bind

LENGTH = 4  # that of length 1 with room for three more: one program


@jax.jit
def bounds(keys, theta, x, given):
    model = state_space(len(x))
    joint, q, x = bind(model, smoother(), Params(theta, ()), Example(x, given))

    def one(key):
        return elbo(key, q, joint, x).value, iwae(key, q, joint, x, num_samples=2).value

    return jax.vmap(one)(keys)


@pytest.mark.parametrize("length", [1, LENGTH])
def test_the_elbo_of_the_exact_smoother_is_the_kalman_log_likelihood_for_every_draw(length):
    """Of two full Gaussians no KL is known, so each step's is the log ratio at the draw: with the
    exact q nothing varies. Room for more steps changes nothing."""
    x, actions = sequence(length)
    truth = kalman_log_likelihood(x, actions)
    keys, found = jax.random.split(jax.random.key(0), 20), []
    for room in (length, length + 3):
        found.append(np.array(bounds(keys, jnp.asarray(F, jnp.float32), *padded(x, actions, room))))
        np.testing.assert_allclose(found[-1], truth, atol=1e-3)
    np.testing.assert_allclose(*found, rtol=1e-5)


def dense(length):
    """Mean and covariance of a chain without actions, laid out flat."""
    means, covariance = [M], np.zeros((2 * length, 2 * length))
    covariance[:2, :2] = P
    for t in range(1, length):
        means.append(F @ means[-1])
        now, before = slice(2 * t, 2 * t + 2), slice(2 * t - 2, 2 * t)
        covariance[now, : 2 * t] = F @ covariance[before, : 2 * t]
        covariance[: 2 * t, now] = covariance[now, : 2 * t].T
        covariance[now, now] = F @ covariance[before, before] @ F.T + Q
    return np.concatenate(means), covariance


def step(parts, t, before):
    del t
    return gaussian(parts["F"] @ before, parts["Q"])


def chain(num_steps, length=None, scale=1.0):
    parts = {"F": jnp.asarray(scale * F), "Q": jnp.asarray(Q)}
    return Markov(gaussian(jnp.asarray(M), jnp.asarray(P)), Partial(step, parts), num_steps, length)


@pytest.mark.parametrize("num_steps, length", [(1, None), (4, None), (6, 4)])
def test_draws_and_densities_are_those_of_the_joint_gaussian(num_steps, length):
    n, steps = 4000, length or num_steps
    p = chain(num_steps, length)
    assert p.event_shape == (num_steps, 2)
    z, log_p = jax.jit(lambda k: p.sample_and_log_prob(seed=k, sample_shape=(n,)))(
        jax.random.key(1)
    )
    assert z.shape == (n, num_steps, 2) and not np.any(z[:, steps:])
    flat = np.asarray(z[:, :steps], np.float64).reshape(n, -1)
    mean, covariance = dense(steps)
    truth = scipy.stats.multivariate_normal(mean, covariance).logpdf(flat)
    np.testing.assert_allclose(log_p, truth, rtol=1e-3, atol=1e-3)
    log_prob = jax.jit(p.log_prob)
    np.testing.assert_allclose(log_prob(z), truth, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(log_prob(z[3]), truth[3], rtol=1e-3, atol=1e-3)
    away = flat - mean
    for draws, exact in ((away, 0.0), (away[:, :, None] * away[:, None, :], covariance)):
        error = draws.std(axis=0, ddof=1) / np.sqrt(n)
        assert np.all(np.abs(draws.mean(axis=0) - exact) < 4.5 * error)


def test_the_kl_of_two_chains():
    """Its mean against the dense one; padded to any room and under vmap over lengths."""
    q, p = chain(6, 4, scale=0.5), chain(6, 4)
    assert kl_form(q, p) == "step by step (log q(z) - log p(z) at the draws at the first)"
    draws = jax.jit(jax.vmap(lambda key: sample_and_kl(key, q, p)[1]))(
        jax.random.split(jax.random.key(2), 4000)
    )
    (n, T), size = dense(4), 8
    parts = np.kron(np.eye(4), Q)
    parts[:2, :2] = P
    blocks = np.eye(size) - np.kron(np.eye(4, k=-1), 0.5 * F)  # z = blocks^-1 (noise and start)
    S = np.linalg.solve(blocks, np.linalg.solve(blocks, parts).T)
    m = np.linalg.solve(blocks, np.concatenate([M, np.zeros(size - 2)]))
    log_dets = np.linalg.slogdet(T)[1] - np.linalg.slogdet(S)[1]
    away = (n - m) @ np.linalg.solve(T, n - m)
    truth = 0.5 * (np.trace(np.linalg.solve(T, S)) + away - size + log_dets)
    draws = np.asarray(draws, np.float64)
    assert truth > 0.1
    assert abs(draws.mean() - truth) < 4 * draws.std() / np.sqrt(len(draws))

    def kl(num_steps, length=None):
        q, p = chain(num_steps, length, 0.5), chain(num_steps, length)
        return sample_and_kl(jax.random.key(3), q, p)[1]

    together = jax.jit(jax.vmap(partial(kl, 6)))(jnp.arange(1, 7))
    alone = [jax.jit(partial(kl, n))() for n in (1, 3, 6)]
    np.testing.assert_allclose(np.asarray(together)[[0, 2, 5]], alone, rtol=1e-4, atol=1e-5)


def test_what_is_refused():
    with pytest.raises(ValueError, match="num_steps must be at least 1; got 0"):
        chain(0)
    with pytest.raises(ValueError, match="got q of 3 and p of 4 steps"):
        sample_and_kl(jax.random.key(0), chain(3), chain(4))
    with pytest.raises(TypeError, match=r"^expected each conditional of a Markov to be a jax"):
        held_fixed(Markov(standard_normal(2), lambda t, z: standard_normal(2), 3))
    held_fixed(chain(3))
