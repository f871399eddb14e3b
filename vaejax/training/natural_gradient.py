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
    """Natural gradient descent: theta <- theta - rate F(theta)^-1 g, with the Fisher information
    F(theta) = d^2 KL(p_theta || p_theta') / d theta'^2 at theta' = theta (Amari 1998, section 2).

    This is steepest descent if distance is measured by the KL between distributions, so without
    `damping` it would not depend on the parametrization. It suits the few parameters of a graphical
    model; `optax.multi_transform` gives the networks their own optimizer.

    Args:
      divergence: (theta, theta') -> KL(p_theta || p_theta') in nats, twice differentiable. For a
        model with latent variables, the KL of the complete data is simple.
      largest_step: the largest change of the distribution in one step d, in nats, by d' F d / 2
        with damped F. Longer steps are scaled down, since F is valid only near theta.
      damping: added to the diagonal of F. A parameter on which the distribution hardly depends,
        such as the mean of a component without weight, then moves by a gradient step with rate
        rate / damping.
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
