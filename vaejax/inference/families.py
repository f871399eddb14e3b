"""Variational families lambda -> q(z; lambda), lambda unconstrained."""

import jax
import jax.numpy as jnp

from vaejax.distributions import DiagonalGaussian, PointMass
from vaejax.types import Distribution, VariationalFamily


def diagonal_gaussian(*shape: int) -> VariationalFamily:
    """q(z) = N(mean, diag(exp(log_scale))^2); lambda starts at N(0, I)."""

    def init(key):
        del key
        return {"mean": jnp.zeros(shape), "log_scale": jnp.zeros(shape)}

    return VariationalFamily(init, lambda v: DiagonalGaussian(v["mean"], v["log_scale"]))


def family_of(q: Distribution) -> VariationalFamily:
    """The family that a q belongs to, as a network gave it: lambda is the list of q's own arrays,
    which are unconstrained in the distributions of this package.

    Raises:
      TypeError: q holds no arrays.
    """
    leaves, structure = jax.tree.flatten(q)
    if not leaves:
        raise TypeError(f"{type(q).__name__} holds no arrays that could be optimized")

    def init(key):
        del key
        return [jnp.zeros_like(leaf) for leaf in leaves]

    return VariationalFamily(init, lambda v: jax.tree.unflatten(structure, v))


def point_mass(*shape: int) -> VariationalFamily:
    """All mass at `location`: a deterministic autoencoder's code."""

    def init(key):
        del key
        return {"location": jnp.zeros(shape)}

    return VariationalFamily(init, lambda v: PointMass(v["location"]))
