"""Frames against scipy, and which of them count."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jax.tree_util import Partial

from vaejax.distributions import Bernoulli, DiagonalGaussian, Frames, support_problem

Z = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)


def emission(scale, t, z):
    return DiagonalGaussian(scale * z + t, jnp.full(2, -0.5))


def frames(length=None, z=Z):
    return Frames(Partial(emission, jnp.float32(2.0)), jnp.asarray(z), length)


@jax.jit
def log_prob(x, length):
    return frames(length).log_prob(x)


@functools.partial(jax.jit, static_argnames="shape")
def sample(key, z=Z, shape=()):
    return frames(4, z).sample(seed=key, sample_shape=shape)


def test_the_density_is_that_of_the_frames_that_count_and_are_not_missing():
    x = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    each = scipy.stats.norm(2 * Z + np.arange(6)[:, None], np.exp(-0.5)).logpdf(x).sum(1)
    np.testing.assert_allclose(log_prob(x, None), each.sum(), rtol=1e-5)
    np.testing.assert_allclose(log_prob(x, 4), each[:4].sum(), rtol=1e-5)
    x[1] = np.nan
    np.testing.assert_allclose(log_prob(x, 4), each[[0, 2, 3]].sum(), rtol=1e-5)
    of_scale = jax.grad(lambda scale: Frames(Partial(emission, scale), Z, 4).log_prob(x))
    assert np.isfinite(jax.jit(of_scale)(2.0))


def test_draws_are_of_each_frame_and_0_beyond_the_length():
    draws = np.asarray(sample(jax.random.key(0), shape=(20_000,)))
    mean = np.where(np.arange(6)[:, None] < 4, 2 * Z + np.arange(6)[:, None], 0.0)
    error = np.exp(-0.5) / 20_000**0.5
    assert np.abs(draws.mean(0) - mean).max() < 4.5 * error
    assert np.all(draws[:, 4:] == 0)
    np.testing.assert_allclose(jax.jit(lambda: frames(4).mean())(), mean, rtol=1e-5)
    key = jax.random.key(1)
    longer = sample(key, np.concatenate([Z, Z]))
    np.testing.assert_allclose(sample(key), longer[:6], rtol=1e-5)


def test_a_frame_outside_the_support_is_named_and_a_missing_one_is_not():
    p = Frames(Partial(lambda t, z: Bernoulli(z)), jnp.zeros((3, 2)))
    x = np.array([[0, 1], [np.nan, np.nan], [1, 1]], np.float32)
    assert support_problem(p, x) is None
    assert "Bernoulli is over values 0 and 1" in (support_problem(p, 255 * x) or "")
    x[2, 0] = np.nan
    assert "sequence 0 has others in frame" in (support_problem(p, x) or "")
