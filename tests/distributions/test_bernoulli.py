"""Bernoulli from logits, and its softplus, against scipy, distrax, enumeration, differences."""

import itertools

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from vaejax.distributions import Bernoulli
from vaejax.distributions.bernoulli import softplus

log_density = jax.jit(lambda logits, x: Bernoulli(logits).log_prob(x))
GRID = np.array([-1e4, -100.0, -20.0, -1.5, -1e-3, 0.0, 1e-3, 0.7, 20.0, 100.0, 1e4], np.float32)


def test_softplus_is_log_of_one_plus_exp():
    np.testing.assert_allclose(
        softplus(GRID), np.logaddexp(0.0, GRID, dtype=float), rtol=1e-6, atol=1e-30
    )


@pytest.mark.parametrize("transform", ["reverse", "forward"])
def test_derivative_of_softplus_is_the_sigmoid(transform):
    if transform == "reverse":
        derivative = jax.jit(jax.vmap(jax.grad(softplus)))(GRID)
    else:
        _, derivative = jax.jvp(softplus, (GRID,), (jnp.ones_like(GRID),))
    np.testing.assert_allclose(derivative, scipy.special.expit(GRID), rtol=1e-6, atol=1e-30)


def test_second_derivative_of_softplus():
    sigmoid = scipy.special.expit(GRID.astype(float))
    second = jax.jit(jax.vmap(jax.grad(jax.grad(softplus))))(GRID)
    np.testing.assert_allclose(
        second, sigmoid * scipy.special.expit(-GRID.astype(float)), rtol=1e-5, atol=1e-30
    )


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
@pytest.mark.parametrize("leading", [(), (4,)])
def test_log_prob_is_that_of_scipy_and_distrax(shape, leading):
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=shape).astype(np.float32)
    x = rng.integers(0, 2, size=(*leading, *shape)).astype(np.float32)
    log_prob = log_density(logits, x)
    truth = scipy.stats.bernoulli(scipy.special.expit(logits.astype(float))).logpmf(x)
    np.testing.assert_allclose(log_prob, truth.reshape(*leading, -1).sum(-1), rtol=1e-5)
    other = distrax.Bernoulli(logits=logits).log_prob(x)
    np.testing.assert_allclose(log_prob, other.reshape(*leading, -1).sum(-1), rtol=1e-5)


def test_probabilities_of_all_x_sum_to_one():
    logits = np.random.default_rng(0).normal(size=(2, 2)).astype(np.float32) * 2
    every = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32).reshape(16, 2, 2)
    np.testing.assert_allclose(np.exp(log_density(logits, every)).sum(), 1.0, rtol=1e-6)


@pytest.mark.parametrize("logit", [-1e4, 1e4])
@pytest.mark.parametrize("x", [0.0, 1.0])
def test_extreme_logits_are_finite(logit, x):
    """log p = -1e4 for the value that all but never occurs, 0 for the other."""
    wrong = (logit > 0) != (x > 0)
    value, gradient = jax.jit(jax.value_and_grad(log_density))(np.float32(logit), x)
    np.testing.assert_allclose(value, -1e4 if wrong else 0.0)
    np.testing.assert_allclose(gradient, -np.sign(logit) if wrong else 0.0)


def test_gradient_against_finite_differences():
    logits, x = np.array([-3.0, 0.4, 1.5, 30.0]), np.array([0.0, 1.0, 0.0, 1.0])
    steps = 1e-5 * np.eye(4)
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(log_density))(logits, x)
        f = jax.jit(jax.vmap(log_density, (0, None)))
        differences = (f(logits + steps, x) - f(logits - steps, x)) / 2e-5
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-9)


def test_means_and_covariances_of_samples():
    logits = np.array([-2.0, 0.3, 1.0], np.float32)
    p = scipy.special.expit(logits)
    bernoulli = Bernoulli(logits)
    np.testing.assert_allclose(bernoulli.mean(), p, rtol=1e-6)
    draws = np.asarray(bernoulli.sample(seed=jax.random.key(0), sample_shape=(20_000,)), np.float64)
    assert set(np.unique(draws)) == {0.0, 1.0}
    products = (draws - p)[:, :, None] * (draws - p)[:, None, :]
    for moment, truth in ((draws, p), (products, np.diag(p * (1 - p)))):
        standard_error = moment.std(axis=0, ddof=1) / np.sqrt(len(moment))
        assert np.all(np.abs(moment.mean(axis=0) - truth) < 4 * standard_error)


def test_certain_logits_are_certain_in_samples():
    draws = Bernoulli(jnp.asarray([-1e4, 1e4])).sample(seed=jax.random.key(0), sample_shape=(1000,))
    np.testing.assert_array_equal(draws, np.tile([0.0, 1.0], (1000, 1)))


def test_sample_and_log_prob_agree_under_vmap():
    logits = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    keys = jax.random.split(jax.random.key(0), 6)
    draw = jax.jit(jax.vmap(lambda a, key: Bernoulli(a).sample_and_log_prob(seed=key)))
    x, log_prob = draw(logits, keys)
    p = scipy.special.expit(logits)
    np.testing.assert_allclose(
        log_prob, np.log(np.where(np.asarray(x) == 1, p, 1 - p)).sum(-1), rtol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_that_of_the_logits(dtype):
    def numbers(logits):
        bernoulli = Bernoulli(logits)
        assert bernoulli.event_shape == (2,)
        return *bernoulli.sample_and_log_prob(seed=jax.random.key(0)), bernoulli.mean()

    with jax.enable_x64(True):
        found = jax.eval_shape(numbers, jnp.zeros(2, dtype))
        assert {str(a.dtype) for a in found} == {dtype}
