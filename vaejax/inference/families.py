"""Variational families lambda -> q(z; lambda), lambda unconstrained."""

import jax.numpy as jnp

from vaejax.distributions import DiagonalGaussian, PointMass
from vaejax.types import VariationalFamily


def diagonal_gaussian(*shape: int) -> VariationalFamily:
    """q(z) = N(mean, diag(exp(log_scale))^2); lambda starts at N(0, I)."""

    def init(key):
        del key
        return {"mean": jnp.zeros(shape), "log_scale": jnp.zeros(shape)}

    return VariationalFamily(init, lambda v: DiagonalGaussian(v["mean"], v["log_scale"]))


def point_mass(*shape: int) -> VariationalFamily:
    """All mass at `location`: a deterministic autoencoder's code."""

    def init(key):
        del key
        return {"location": jnp.zeros(shape)}

    return VariationalFamily(init, lambda v: PointMass(v["location"]))
