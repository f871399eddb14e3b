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
    return jnp.exp(log_scale)[..., None] * unit_lower_triangle(lower, log_scale.shape[-1])


def unit_lower_triangle(entries: Float[Array, "... entries"], d: int) -> Float[Array, "... d d"]:
    """The matrix I + A, with the d (d - 1) / 2 entries of A below the diagonal, row by row."""
    eye = jnp.broadcast_to(jnp.eye(d, dtype=entries.dtype), (*entries.shape[:-1], d, d))
    rows, columns = np.tril_indices(d, -1)
    return eye.at[..., rows, columns].set(entries)


def parameters_of_factor(factor: Float[Array, "... d d"]) -> Parameters:
    """Those of which `factor_of` makes this factor, whose diagonal is above 0."""
    scale = jnp.diagonal(factor, axis1=-2, axis2=-1)
    rows, columns = np.tril_indices(factor.shape[-1], -1)
    lower = (factor / scale[..., None])[..., rows, columns]
    return {"log_scale": jnp.log(scale), "lower": lower}


@highest_precision
def inverse_of_factor(factor: Float[Array, "... d d"]) -> Float[Array, "... d d"]:
    """Of a Cholesky factor [[A, 0], [C, B]], by halves: [[A^-1, 0], [-B^-1 C A^-1, B^-1]]; of
    (I - N) D with d at most 4, D diagonal, where N^4 is 0: D^-1 (I + N) (I + N^2).

    Products alone: on a CPU `solve_triangular` of many matrices waits in a thread for its own
    threads, and two of them at once wait for ever (jaxlib 0.10).
    """
    d = factor.shape[-1]
    if d <= 4:
        identity = jnp.eye(d, dtype=factor.dtype)
        diagonal = jnp.diagonal(factor, axis1=-2, axis2=-1)
        N = identity - factor / diagonal[..., None, :]
        return (identity + N) @ (identity + N @ N) / diagonal[..., None]
    half = d // 2
    A = inverse_of_factor(factor[..., :half, :half])
    B = inverse_of_factor(factor[..., half:, half:])
    C = -B @ factor[..., half:, :half] @ A
    above = jnp.concatenate([A, jnp.zeros_like(jnp.swapaxes(C, -1, -2))], axis=-1)
    return jnp.concatenate([above, jnp.concatenate([C, B], axis=-1)], axis=-2)
