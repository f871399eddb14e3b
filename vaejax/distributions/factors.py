"""Covariances from unconstrained numbers."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

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


def inverse_of_factor(factor: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """Of a Cholesky factor."""
    identity = jnp.eye(len(factor), dtype=factor.dtype)
    return jax.scipy.linalg.solve_triangular(factor, identity, lower=True)
