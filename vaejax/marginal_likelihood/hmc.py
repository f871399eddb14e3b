"""Hamiltonian Monte Carlo that leaves one density of an annealed path invariant."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.marginal_likelihood.annealed_path import AnnealedPath, Point, evaluate
from vaejax.types import Key

_JITTER = 0.3  # of the step size, relative


def leapfrog(
    path: AnnealedPath,
    beta: Float[Array, ""],
    point: Point,
    momentum: Float[Array, " d"],
    step: Float[Array, " d"],
    num_steps: int,
) -> tuple[Point, Float[Array, " d"]]:
    """Hamilton's equations for log f_beta with unit mass in units of the scale (Neal 2011, eq.
    5.18-5.20): `num_steps` gradient evaluations; reversible, volume-preserving.

    `step` is step size times scale, elementwise.
    """
    momentum = momentum + 0.5 * step * point.gradient(beta)

    def inner(carry, _):
        z, momentum = carry
        z = z + step * momentum
        start_gradient = jax.grad(path.log_start)(z)
        target_gradient = jax.grad(path.log_target)(z)
        gradient = (1 - beta) * start_gradient + beta * target_gradient
        return (z, momentum + step * gradient), None

    # The log densities are needed at the last place only.
    (z, momentum), _ = jax.lax.scan(inner, (point.z, momentum), None, length=num_steps - 1)
    end = evaluate(path, z + step * momentum)
    return end, momentum + 0.5 * step * end.gradient(beta)


def transition(
    key: Key,
    path: AnnealedPath,
    beta: Float[Array, ""],
    point: Point,
    step_size: Float[Array, ""],
    num_leapfrog: int,
) -> tuple[Point, Float[Array, ""]]:
    """One HMC transition (Duane et al. 1987), its step size drawn anew from within 30 % of
    `step_size` (Neal 2011, section 5.4.2), and its acceptance probability."""
    momentum_key, jitter_key, accept_key = jax.random.split(key, 3)
    momentum = jax.random.normal(momentum_key, point.z.shape, point.z.dtype)
    # A trajectory of one length may come back to where it began; of random lengths it does not.
    jitter = jax.random.uniform(jitter_key, minval=1 - _JITTER, maxval=1 + _JITTER)
    step = step_size * jitter * path.scale(beta)
    end, end_momentum = leapfrog(path, beta, point, momentum, step, num_leapfrog)
    log_ratio = (end.log_density(beta) - 0.5 * jnp.sum(end_momentum**2)) - (
        point.log_density(beta) - 0.5 * jnp.sum(momentum**2)
    )
    # A trajectory that leaves the support or diverges is refused.
    acceptance = jnp.where(jnp.isnan(log_ratio), 0.0, jnp.exp(jnp.minimum(log_ratio, 0.0)))
    accept = jax.random.uniform(accept_key, dtype=acceptance.dtype) < acceptance
    return jax.tree.map(lambda new, old: jnp.where(accept, new, old), end, point), acceptance
