"""Natural gradients, as an optax transformation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

Divergence = Callable[[Any, Any], Float[Array, ""]]


def natural_gradient(
    learning_rate: optax.ScalarOrSchedule,
    divergence: Divergence,
    *,
    largest_step: float = 0.1,
    damping: float = 1e-2,
) -> optax.GradientTransformation:
    """theta <- theta - rate F(theta)^-1 g, with the Fisher information
    F(theta) = d^2 KL(p_theta || p_theta') / d theta'^2 at theta' = theta (Amari 1998, section 2).

    The direction is that of steepest descent when length is measured by the KL between the
    distributions: but for `damping`, it is the same in every parametrization. It suits the few
    parameters of a graphical model; `optax.multi_transform` gives the networks their own optimizer.

    Args:
      divergence: (theta, theta') -> KL(p_theta || p_theta') in nats, twice differentiable; of a
        model with latent variables that of the complete data, where it is simple.
      largest_step: the most that F, its damping included, says a step d moves the distribution,
        in nats, d' F d / 2; longer ones are scaled down. F is no guide beyond its neighbourhood.
      damping: added to F's diagonal. What the distribution hardly depends on, as the mean of a
        component without weight, then moves by a gradient step of rate / damping.
    """

    def init(params):
        del params
        return optax.ScaleByScheduleState(count=jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("natural_gradient: update(updates, state, params) needs params")
        theta, unravel = ravel_pytree(params)
        gradient, _ = ravel_pytree(updates)
        fisher = jax.hessian(lambda other: divergence(params, unravel(other)))(theta)
        damped = fisher + damping * jnp.eye(len(theta), dtype=theta.dtype)
        direction = jnp.linalg.solve(damped, gradient)
        rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        moved = 0.5 * rate**2 * (direction @ damped @ direction)
        shrink = jnp.minimum(1.0, jnp.sqrt(largest_step / jnp.maximum(moved, 1e-30)))
        return unravel(-rate * shrink * direction), type(state)(count=state.count + 1)

    return optax.GradientTransformation(init, update)
