"""Covariances from unconstrained numbers."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vaejax.distributions.precision import highest_precision
from vaejax.types import Parameters


def factor_parameters(scale: float, d: int, *leading: int) -> Parameters:
    """Of the factor scale * I, one for each of the leading axes."""
    below = d * (d - 1) // 2
    return {
        "log_scale": jnp.full((*leading, d), jnp.log(scale)),
        "lower": jnp.zeros((*leading, below)),
    }


def factor_of(parameters: Parameters) -> Float[Array, "... d d"]:
    """diag(exp(log_scale)) (I + lower): a Cholesky factor, `lower` below the diagonal row by
    row."""
    log_scale, lower = parameters["log_scale"], parameters["lower"]
    d = log_scale.shape[-1]
    unit = jnp.broadcast_to(jnp.eye(d, dtype=log_scale.dtype), (*log_scale.shape, d))
    rows, columns = np.tril_indices(d, -1)
    return jnp.exp(log_scale)[..., None] * unit.at[..., rows, columns].set(lower)


@highest_precision
def inverse_of_factor(factor: Float[Array, "... d d"]) -> Float[Array, "... d d"]:
    """Of a Cholesky factor [[A, 0], [C, B]], by halves: [[A^-1, 0], [-B^-1 C A^-1, B^-1]].

    Products alone: on a CPU `solve_triangular` of many matrices waits in a thread for its own
    threads, and two of them at once wait for ever (jaxlib 0.10).
    """
    half = factor.shape[-1] // 2
    if half == 0:
        return 1 / factor
    A = inverse_of_factor(factor[..., :half, :half])
    B = inverse_of_factor(factor[..., half:, half:])
    C = -B @ factor[..., half:, :half] @ A
    above = jnp.concatenate([A, jnp.zeros_like(jnp.swapaxes(C, -1, -2))], axis=-1)
    return jnp.concatenate([above, jnp.concatenate([C, B], axis=-1)], axis=-2)
