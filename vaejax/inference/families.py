"""Variational families lambda -> q(z; lambda), lambda unconstrained."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.distributions import (
    DiagonalGaussian,
    FullGaussian,
    GaussianMixture,
    PointMass,
    unit_lower_triangle,
)
from vaejax.types import VariationalFamily

GAUSSIAN_RATE = 0.1  # Adam's first
MIXTURE_RATE = 0.03  # at a larger one the components end on top of each other


def diagonal_gaussian(*shape: int) -> VariationalFamily:
    """The family of Gaussians with diagonal covariance: N(mean, diag(exp(log_scale))^2).

    lambda starts at N(0, I).

    Args:
      *shape: of z.
    """

    def init(key):
        del key
        return {"mean": jnp.zeros(shape), "log_scale": jnp.zeros(shape)}

    def start_at(key, mean, scale):
        del key
        return {"mean": mean, "log_scale": jnp.log(scale)}

    return VariationalFamily(
        "diagonal",
        init,
        lambda v: DiagonalGaussian(v["mean"], v["log_scale"]),
        start_at,
        GAUSSIAN_RATE,
    )


def fixed_scale_gaussian(*shape: int, scale: float) -> VariationalFamily:
    """The family of Gaussians with one given scale for every x: N(mean, scale^2 I).

    lambda starts at mean 0. The family is between a variational and a deterministic autoencoder: as
    scale -> 0, the ELBO less q's entropy, d log(scale) + d (1 + log 2 pi) / 2, becomes
    `objectives.maximum_a_posteriori` at the mean, the difference being scale^2 / 2 times the trace
    of the Hessian of log p(x, z) there. The entropy, and with it the ELBO, goes to -infinity.

    Args:
      *shape: of z.

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

    def start_at(key, mean, scale):
        del key, scale
        return {"mean": mean}

    return VariationalFamily("fixed scale", init, distribution, start_at, GAUSSIAN_RATE)


def full_gaussian(*shape: int) -> VariationalFamily:
    """The family of Gaussians with full covariance: N(mean, L L^T), L = diag(exp(log_scale)) (I +
    lower).

    `lower` holds the d (d - 1) / 2 entries of a strictly lower triangular matrix, row by row.
    lambda starts at N(0, I).

    A fit's step (m, s, a) is measured in q's own scale: mean + L m and L (I + a) diag(exp(s)).
    An affine map of z changes nothing but where such a fit starts, so that it takes about as many
    steps at any condition number of the posterior. Its rate is 1 / d above 50 dimensions: the first
    steps of Adam move all entries of L alike, and at a larger one would carry it away.

    Args:
      *shape: of z.
    """
    size = math.prod(shape)

    def init(key):
        del key
        return {
            "mean": jnp.zeros(shape),
            "log_scale": jnp.zeros(shape),
            "lower": jnp.zeros(size * (size - 1) // 2),
        }

    def start_at(key, mean, scale):
        return init(key) | {"mean": mean, "log_scale": jnp.log(scale)}

    def move(v, step):
        factor = unit_lower_triangle(v["lower"], size)
        growth = step["log_scale"].reshape(-1)
        moved = (factor @ step["mean"].reshape(-1)).reshape(shape)
        # L (I + a) diag(exp(s)) without its new scale, exp(log_scale + s), to the left of it.
        lower = factor @ unit_lower_triangle(step["lower"], size)
        lower = lower * jnp.exp(growth - growth[:, None])
        return {
            "mean": v["mean"] + jnp.exp(v["log_scale"]) * moved,
            "log_scale": v["log_scale"] + step["log_scale"],
            "lower": lower[np.tril_indices(size, -1)],
        }

    return VariationalFamily(
        "full",
        init,
        lambda v: FullGaussian(v["mean"], v["log_scale"], v["lower"]),
        start_at,
        GAUSSIAN_RATE if size <= 50 else 1 / size,
        move,
    )


def gaussian_mixture(*shape: int, num_components: int = 5) -> VariationalFamily:
    """The family of mixtures of diagonal Gaussians:

    q(z) = sum_k softmax(logits)_k N(mean + exp(log_scale) offset_k, diag(scale_k)^2),
    log scale_k = log_scale + log_ratio_k.

    Lambda starts near N(0, I): equal weights and scales, offsets drawn from N(0, 0.1^2), for with
    none the components would stay the same for ever.

    Args:
      *shape: of z.
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

    def start_at(key, mean, scale):
        return init(key) | {"mean": mean, "log_scale": jnp.log(scale)}

    return VariationalFamily("mixture", init, distribution, start_at, MIXTURE_RATE)


def point_mass(*shape: int) -> VariationalFamily:
    """The family of point masses, all mass at `location`: a deterministic autoencoder's code.

    Args:
      *shape: of z.
    """

    def init(key):
        del key
        return {"location": jnp.zeros(shape)}

    def start_at(key, mean, scale):
        del key, scale
        return {"location": mean}

    return VariationalFamily(
        "point mass", init, lambda v: PointMass(v["location"]), start_at, GAUSSIAN_RATE
    )
