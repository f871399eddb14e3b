"""Variational families lambda -> q(z; lambda), lambda unconstrained."""

import math

import jax
import jax.numpy as jnp

from vaejax.distributions import DiagonalGaussian, FullGaussian, GaussianMixture, PointMass
from vaejax.types import Distribution, VariationalFamily


def diagonal_gaussian(*shape: int) -> VariationalFamily:
    """q(z) = N(mean, diag(exp(log_scale))^2); lambda starts at N(0, I)."""

    def init(key):
        del key
        return {"mean": jnp.zeros(shape), "log_scale": jnp.zeros(shape)}

    return VariationalFamily(init, lambda v: DiagonalGaussian(v["mean"], v["log_scale"]))


def fixed_scale_gaussian(*shape: int, scale: float) -> VariationalFamily:
    """q(z) = N(mean, scale^2 I), the scale given and the same for every x; lambda starts at mean 0.

    Between a variational and a deterministic autoencoder: as scale -> 0, the ELBO less q's entropy,
    d log(scale) + d (1 + log 2 pi) / 2, becomes `objectives.maximum_a_posteriori` at the mean, the
    difference being scale^2 / 2 times the trace of the Hessian of log p(x, z) there. The entropy,
    and with it the ELBO, goes to -infinity.

    Raises:
      ValueError: scale is not finite and above 0.
    """
    if not 0 < scale < math.inf:
        raise ValueError(
            f"fixed_scale_gaussian: scale must be finite and above 0; got {scale}: at 0 q is a "
            "point_mass, which has no density"
        )

    def init(key):
        del key
        return {"mean": jnp.zeros(shape)}

    def distribution(v):
        return DiagonalGaussian(v["mean"], jnp.full_like(v["mean"], math.log(scale)))

    return VariationalFamily(init, distribution)


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


def full_gaussian(*shape: int) -> VariationalFamily:
    """q(z) = N(mean, L L^T), L = diag(exp(log_scale)) (I + lower); lambda starts at N(0, I).

    `lower` holds the d (d - 1) / 2 entries of a strictly lower triangular matrix, row by row.
    """
    size = math.prod(shape)

    def init(key):
        del key
        return {
            "mean": jnp.zeros(shape),
            "log_scale": jnp.zeros(shape),
            "lower": jnp.zeros(size * (size - 1) // 2),
        }

    return VariationalFamily(init, lambda v: FullGaussian(v["mean"], v["log_scale"], v["lower"]))


def gaussian_mixture(*shape: int, num_components: int) -> VariationalFamily:
    """q(z) = sum_k softmax(logits)_k N(mean + exp(log_scale) offset_k, diag(scale_k)^2),

    log scale_k = log_scale + log_ratio_k. Lambda starts near N(0, I): equal weights and scales,
    offsets drawn from N(0, 0.1^2), for with none the components would stay the same for ever.
    """

    def init(key):
        return {
            "mean": jnp.zeros(shape),
            "log_scale": jnp.zeros(shape),
            "logits": jnp.zeros(num_components),
            "offset": 0.1 * jax.random.normal(key, (num_components, *shape)),
            "log_ratio": jnp.zeros((num_components, *shape)),
        }

    def distribution(v):
        means = v["mean"] + jnp.exp(v["log_scale"]) * v["offset"]
        return GaussianMixture(v["logits"], means, v["log_scale"] + v["log_ratio"])

    return VariationalFamily(init, distribution)


def point_mass(*shape: int) -> VariationalFamily:
    """All mass at `location`: a deterministic autoencoder's code."""

    def init(key):
        del key
        return {"location": jnp.zeros(shape)}

    return VariationalFamily(init, lambda v: PointMass(v["location"]))
