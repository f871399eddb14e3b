"""Message passing in linear-Gaussian chains against dense Gaussian algebra in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.distributions.linear_messages import Steps, smooth

D = 3


def chain(length, seed=0, scale=0.5):
    """(steps, h, J) in float64: every step its own, J of rank 1 and 0 at some steps."""
    random = np.random.default_rng(seed)
    A = 0.6 * random.normal(size=(length, D, D))
    b = random.normal(size=(length, D))
    G = scale * np.tril(random.normal(size=(length, D, D)), -1)
    G += scale * np.exp(random.normal(size=(length, D, 1))) * np.eye(D)
    W = random.normal(size=(length, D, D))
    W[::3, :, 1:] = 0.0
    W[1::4] = 0.0
    J = W @ np.swapaxes(W, -1, -2)
    h = np.einsum("tij,tj->ti", J, random.normal(size=(length, D)))
    return Steps(A, b, G), h, J


def dense(steps, h, J):
    """(mean, covariance of q, KL(q || p), log Z), all z laid out flat."""
    length = len(steps.b)
    size = length * D
    L, offset = np.eye(size), np.zeros(size)
    noise = np.zeros((size, size))
    for t in range(length):
        now = slice(t * D, t * D + D)
        offset[now] = steps.b[t]
        noise[now, now] = steps.G[t] @ steps.G[t].T
        if t > 0:
            L[now, now.start - D : now.start] = -steps.A[t]
    m = np.linalg.solve(L, offset)
    S = np.linalg.solve(L, np.linalg.solve(L, noise).T)
    J_all = np.zeros((size, size))
    for t in range(length):
        J_all[t * D : t * D + D, t * D : t * D + D] = J[t]
    T = np.linalg.inv(np.linalg.inv(S) + J_all)
    mean = T @ (np.linalg.solve(S, m) + h.reshape(-1))
    away = mean - m
    log_ratio = np.linalg.slogdet(S)[1] - np.linalg.slogdet(T)[1]
    kl = 0.5 * (
        np.trace(np.linalg.solve(S, T)) + away @ np.linalg.solve(S, away) - size + log_ratio
    )
    psi = h.reshape(-1) @ mean - 0.5 * (mean @ J_all @ mean + np.trace(J_all @ T))
    return mean, T, kl, psi - kl


def single(tree):
    return jax.tree.map(np.float32, tree)


smoothed = jax.jit(smooth, static_argnames="parallel")


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_moments_and_the_kl_are_those_of_the_joint_gaussian(length, parallel):
    inputs = chain(length)
    mean, covariance, kl, _ = dense(*inputs)
    found = smoothed(*single(inputs), parallel=parallel)
    np.testing.assert_allclose(found.moments.mean.reshape(-1), mean, atol=2e-5)
    np.testing.assert_allclose(np.sum(found.kl), kl, rtol=1e-5)
    blocks = covariance.reshape(length, D, length, D)
    for t in range(length):
        np.testing.assert_allclose(found.moments.covariance[t], blocks[t, :, t], atol=2e-5)
        if t > 0:
            np.testing.assert_allclose(found.moments.cross[t], blocks[t, :, t - 1], atol=2e-5)


def test_without_potentials_q_is_p_exactly():
    steps, h, J = single(chain(7))
    for parallel in (False, True):
        found = smoothed(steps, 0 * h, 0 * J, parallel=parallel)
        for a, b in zip(found.steps, steps, strict=True):
            np.testing.assert_allclose(a[1:], b[1:], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found.kl, 0.0, atol=1e-6)


def badly_scaled(length=1000):
    """A level that drifts by 1e-4 and a fast part of scale 1, seen through noise of 0.1: Q has
    eigenvalues 1e-8 and 1, the potentials of 100."""
    random = np.random.default_rng(3)
    A = np.broadcast_to([[1.0, 0.0, 0.01], [0.0, 0.9, 0.3], [0.0, -0.3, 0.9]], (length, D, D))
    G = np.broadcast_to(np.diag([1e-4, 1.0, 0.01]), (length, D, D)).copy()
    G[0] = np.eye(D)
    C = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 1.0]])
    J = np.broadcast_to(100 * C.T @ C, (length, D, D)).copy()
    J[100:150] = 0.0
    h = np.einsum("tij,tj->ti", J, random.normal(size=(length, D)))
    return Steps(A, np.zeros((length, D)), G), h, J


@pytest.mark.parametrize("parallel", [False, True])
def test_float32_keeps_its_digits_over_1000_badly_scaled_steps(parallel):
    """Against the same pass in float64, which the sequential one shares with the dense algebra."""
    inputs = badly_scaled()
    with jax.enable_x64(True):
        truth = jax.tree.map(np.asarray, smoothed(*inputs, parallel=False))
    found = jax.tree.map(np.asarray, smoothed(*single(inputs), parallel=parallel))
    deviation = np.sqrt(np.diagonal(truth.moments.covariance, axis1=1, axis2=2))
    away = np.abs(found.moments.mean - truth.moments.mean)
    assert (away / deviation).max() < 5e-3
    variances = np.diagonal(found.moments.covariance, axis1=1, axis2=2)
    np.testing.assert_allclose(variances, deviation**2, rtol=2e-3)
    np.testing.assert_allclose(found.kl.sum(), truth.kl.sum(), rtol=1e-4)


def test_parallel_and_sequential_agree_to_1e_4_at_1000_steps():
    inputs = single(chain(1000, seed=1))
    a, b = (
        jax.tree.map(np.asarray, smoothed(*inputs, parallel=parallel)) for parallel in (False, True)
    )
    scale = 1 + np.abs(a.moments.mean)
    assert np.max(np.abs(a.moments.mean - b.moments.mean) / scale) < 1e-4
    np.testing.assert_allclose(a.moments.covariance, b.moments.covariance, atol=1e-4)
    np.testing.assert_allclose(a.kl.sum(), b.kl.sum(), rtol=1e-4)


@pytest.mark.parametrize("parallel", [False, True])
def test_gradients_are_those_of_finite_differences(parallel):
    """Of a function of all that comes out, by every array; under vmap and jit, in float64."""
    with jax.enable_x64(True):
        inputs = chain(5)
        weights = np.random.default_rng(1).normal(size=(5, D))

        def total(*inputs):
            found = smooth(*inputs, parallel=parallel)
            moments = found.moments
            drawn = jnp.sum(moments.mean * weights) + jnp.sum(moments.covariance * weights[:, None])
            return jnp.sum(found.kl) + drawn + jnp.sum(jnp.sin(moments.cross))

        twice = jax.tree.map(lambda leaf: np.stack([leaf, 0.9 * leaf]), inputs)
        gradient = jax.jit(jax.vmap(jax.grad(total, argnums=(0, 1, 2))))(*twice)
        value = jax.jit(total)
        random = np.random.default_rng(0)
        direction = jax.tree.map(lambda leaf: random.normal(size=leaf.shape), inputs)
        symmetric = direction[2] + np.swapaxes(direction[2], -1, -2)
        direction = (*direction[:2], symmetric)
        size = 1e-5

        def at(scale, step):
            return value(*jax.tree.map(lambda a, v: scale * a + step * v, inputs, direction))

        for k, scale in enumerate((1.0, 0.9)):
            up, down = at(scale, size), at(scale, -size)
            slope = sum(
                np.sum(np.asarray(g)[k] * v)
                for g, v in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
            )
            np.testing.assert_allclose(slope, (up - down) / (2 * size), rtol=1e-5)
