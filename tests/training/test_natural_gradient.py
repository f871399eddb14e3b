"""Natural gradients against expectation-maximization, and against themselves in other units."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vaejax.training import natural_gradient


def categorical_kl(theta, other):
    log_p, log_q = jax.nn.log_softmax(theta["logits"]), jax.nn.log_softmax(other["logits"])
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q))


def gaussian_kl(theta, other):
    variances = jnp.exp(2 * theta["log_scale"]), jnp.exp(2 * other["log_scale"])
    gap = (theta["mean"] - other["mean"]) ** 2
    return other["log_scale"] - theta["log_scale"] + (variances[0] + gap) / (2 * variances[1]) - 0.5


def step(optimizer, theta, loss):
    @jax.jit
    def updates(theta):
        return optimizer.update(jax.grad(loss)(theta), optimizer.init(theta), theta)[0]

    return updates(theta)


def test_a_full_step_of_a_categorical_is_that_of_expectation_maximization():
    """d pi of the natural gradient is counts - pi: to first order, pi goes to the counts."""
    theta = {"logits": jnp.array([0.3, -0.2, 0.5, 0.0])}
    counts = jnp.array([0.1, 0.4, 0.3, 0.2])
    optimizer = natural_gradient(1e-3, categorical_kl, damping=1e-6)
    updates = step(optimizer, theta, lambda t: -counts @ jax.nn.log_softmax(t["logits"]))
    _, moved = jax.jvp(jax.nn.softmax, (theta["logits"],), (updates["logits"],))
    expected = 1e-3 * (counts - jax.nn.softmax(theta["logits"]))
    np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-8)


def test_the_step_is_the_same_in_other_parameters():
    """A Gaussian by its mean and variance moves where it moves by its mean and log scale."""

    def loss(mean, log_scale):
        return log_scale + ((1.5 - mean) ** 2 + 0.3) / (2 * jnp.exp(2 * log_scale))

    def as_log_scale(theta):
        return {"mean": theta["mean"], "log_scale": 0.5 * jnp.log(theta["variance"])}

    theta = {"mean": jnp.array(0.4), "log_scale": jnp.array(-0.3)}
    other = {"mean": theta["mean"], "variance": jnp.exp(2 * theta["log_scale"])}
    one = step(natural_gradient(0.01, gaussian_kl, damping=0.0), theta, lambda t: loss(**t))
    by_variance = natural_gradient(
        0.01, lambda a, b: gaussian_kl(as_log_scale(a), as_log_scale(b)), damping=0.0
    )
    two = step(by_variance, other, lambda t: loss(**as_log_scale(t)))
    _, moved = jax.jvp(as_log_scale, (other,), (two,))
    for name in theta:
        np.testing.assert_allclose(moved[name], one[name], rtol=1e-4)


def test_a_long_step_moves_by_no_more_nats_than_allowed():
    theta = {"mean": jnp.array(0.0), "log_scale": jnp.array(0.0)}
    optimizer = natural_gradient(1.0, gaussian_kl, largest_step=1e-4)
    updates = step(optimizer, theta, lambda t: (t["mean"] - 100.0) ** 2)
    moved = optax.apply_updates(theta, updates)
    assert 0.9e-4 < gaussian_kl(theta, moved) < 1.1e-4


def test_a_component_without_weight_gives_no_nan():
    theta = {"logits": jnp.array([0.0, -200.0])}
    updates = step(
        natural_gradient(0.1, categorical_kl),
        theta,
        lambda t: -jax.nn.log_softmax(t["logits"])[0],
    )
    assert np.all(np.isfinite(updates["logits"]))


def test_parameters_must_be_given():
    optimizer = natural_gradient(0.1, categorical_kl)
    theta = {"logits": jnp.zeros(2)}
    with pytest.raises(ValueError, match="needs params"):
        optimizer.update(theta, optimizer.init(theta))
