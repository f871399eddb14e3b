"""Autoregressive against the sum over all x, and against sampling pixel by pixel."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from vaejax.distributions import Autoregressive, standard_normal
from vaejax.generative import autoregressive_decoder
from vaejax.networks import MaskedMLP

ALL = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32).reshape(16, 2, 2)
Z = np.array([0.7, -1.2, 0.3], np.float32)
ORDERS = [None, (2, 0, 3, 1)]


@functools.cache
def decoder(order=None, scale=3.0):
    """p(x | z) of 2 x 2 pixels, with weights large enough for every dependence to be strong."""
    model = autoregressive_decoder(standard_normal(3), MaskedMLP((8,), (4,), order), (2, 2))
    theta = jax.tree.map(lambda w: scale * np.asarray(w), jax.jit(model.init)(jax.random.key(0)))
    return model.joint(theta)


@pytest.mark.parametrize("order", ORDERS)
def test_probabilities_of_all_x_sum_to_one(order):
    p = decoder(order).likelihood(Z)
    assert p.event_shape == (2, 2)
    log_prob_of = jax.jit(p.log_prob)
    log_prob = log_prob_of(ALL)
    np.testing.assert_allclose(np.exp(np.float64(log_prob)).sum(), 1.0, rtol=1e-5)
    assert np.ptp(log_prob) > 2
    one_by_one = [log_prob_of(x) for x in ALL]
    assert one_by_one[0].shape == ()
    np.testing.assert_allclose(log_prob, one_by_one, rtol=1e-5)


def test_log_prob_is_the_product_of_the_conditionals():
    """With log p(x_i = 1 | x_<i) = log sigmoid(c_i + sum_j<i A_ij x_j) written out."""
    a, c = np.tril(np.random.RandomState(0).randn(4, 4), -1), np.array([0.5, -1.0, 0.2, 0.0])
    p = Autoregressive(lambda x: jnp.asarray(a) @ x + jnp.asarray(c), (4,))
    log_prob = jax.jit(p.log_prob)
    for x in ALL.reshape(16, 4):
        truth = 0.0
        for i in range(4):
            one = 1 / (1 + np.exp(-c[i] - a[i, :i] @ x[:i]))
            truth += np.log(one if x[i] else 1 - one)
        np.testing.assert_allclose(log_prob(x), truth, rtol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_frequencies_of_samples_are_the_probabilities(order):
    p = decoder(order).likelihood(Z)
    xs = np.asarray(
        jax.jit(lambda key: p.sample(seed=key, sample_shape=(20_000,)))(jax.random.key(1))
    )
    codes = xs.reshape(-1, 4) @ [8, 4, 2, 1]
    counts = np.bincount(codes.astype(int), minlength=16)
    probability = np.exp(np.float64(jax.jit(p.log_prob)(ALL)))
    expected = 20_000 * probability / probability.sum()
    many = expected > 5
    chi2 = np.sum((counts[many] - expected[many]) ** 2 / expected[many])
    assert chi2 < many.sum() - 1 + 5 * np.sqrt(2 * many.sum())


def test_a_sample_solves_the_sequence_pixel_by_pixel():
    """A chain so strong that an error in one pixel would change all that follow."""
    a = 8.0 * np.tril(np.random.RandomState(1).randn(30, 30), -1).astype(np.float32)
    p = Autoregressive(lambda x: jnp.asarray(a) @ (2 * x - 1), (30,))
    sample = jax.jit(lambda key: p.sample(seed=key))
    for seed in range(5):
        key = jax.random.key(seed)
        uniform = np.asarray(jax.random.uniform(jax.random.split(key, 1)[0], (30,)))
        x = np.zeros(30, np.float32)
        for i in range(30):
            x[i] = uniform[i] < scipy.special.expit(a[i] @ (2 * x - 1))
        np.testing.assert_array_equal(sample(key), x)


def test_z_reaches_every_pixel_and_gradients_flow():
    joint = decoder()
    x = ALL[6]
    jacobian = jax.jit(jax.jacobian(lambda z: joint.likelihood(z).logits(x)))(Z)
    assert np.all(np.any(np.asarray(jacobian) != 0, axis=-1))
    step = 1e-2 * np.eye(3, dtype=np.float32)
    value_and_grad = jax.jit(jax.value_and_grad(lambda z: joint.likelihood(z).log_prob(x)))
    differences = [(value_and_grad(Z + d)[0] - value_and_grad(Z - d)[0]) / 2e-2 for d in step]
    gradient = value_and_grad(Z)[1]
    np.testing.assert_allclose(gradient, differences, rtol=2e-2, atol=2e-3)


def test_the_mean_has_no_formula():
    with pytest.raises(NotImplementedError):
        decoder().likelihood(Z).mean()
