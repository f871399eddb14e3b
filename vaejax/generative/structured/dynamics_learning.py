"""What the natural gradient of a linear dynamical system takes: the divergence of two of them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions.factors import factor_of, inverse_of_factor
from vaejax.distributions.linear_messages import Steps, moments
from vaejax.types import Parameters


def dynamics_divergence(
    theta: Parameters, other: Parameters, *, num_steps: int
) -> Float[Array, ""]:
    """KL(p(z) || p'(z)) of chains of `num_steps` states with `linear_dynamical_system`'s parameters
    and without actions, in nats: KL(p(z_0) || p'(z_0)) + sum_t E_p KL(N(A z + b, Q) || N(A' z + b',
    Q')) with z = z_{t-1}, whose mean and covariance under p are known."""
    A, b, G = theta["A"], theta["b"], factor_of(theta["noise"])
    first = factor_of(theta["initial"])
    steps = Steps(
        jnp.broadcast_to(A, (num_steps, *A.shape)),
        jnp.broadcast_to(b, (num_steps, *b.shape)).at[0].set(theta["mean"]),
        jnp.broadcast_to(G, (num_steps, *G.shape)).at[0].set(first),
    )
    before = jax.tree.map(lambda leaf: leaf[:-1], moments(steps, parallel=False))
    away = before.mean @ (A - other["A"]).T + b - other["b"]
    slope = A - other["A"]
    spread = jnp.einsum("ij,tjk,lk->il", slope, before.covariance, slope)
    later = _kl(G, factor_of(other["noise"]), away.T @ away + spread, num_steps - 1)
    apart = theta["mean"] - other["mean"]
    return _kl(first, factor_of(other["initial"]), jnp.outer(apart, apart), 1) + later


def _kl(factor, other, squares: Float[Array, "d d"], count: int) -> Float[Array, ""]:
    """sum of `count` KLs of Gaussians with these two Cholesky factors, `squares` the sum of the
    outer squares of the differences of their means."""
    inverse = inverse_of_factor(other)
    log_det = jnp.sum(jnp.log(jnp.diagonal(other)) - jnp.log(jnp.diagonal(factor)))
    each = 0.5 * (jnp.sum((inverse @ factor) ** 2) - len(factor)) + log_det
    return count * each + 0.5 * jnp.sum((inverse @ squares) * inverse)
