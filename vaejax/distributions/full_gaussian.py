"""Gaussian with full covariance, by its Cholesky factor."""

import math

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions.diagonal_gaussian import DiagonalGaussian
from vaejax.distributions.factors import unit_lower_triangle
from vaejax.distributions.precision import highest_precision

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class FullGaussian(distrax.Distribution):
    """A Gaussian with full covariance, by its Cholesky factor: N(mean, L L^T).

    L = diag(exp(log_scale)) (I + A), A strictly lower triangular, so log |L| = sum log_scale; A = 0
    is the diagonal Gaussian. The event, of d elements, is the whole array, flat in C order.

    Args:
      mean, log_scale: of the event's shape.
      lower: the d (d - 1) / 2 entries of A, row by row.

    Raises:
      ValueError: the shapes do not fit together.

    Example:
      >>> import jax.numpy as jnp, vaejax
      >>> p = vaejax.distributions.FullGaussian(jnp.zeros(2), jnp.zeros(2), lower=jnp.array([2.0]))
      >>> factor = jnp.array([[1.0, 0.0], [2.0, 1.0]])
      >>> bool(jnp.allclose(p.stddev() ** 2, jnp.diag(factor @ factor.T)))
      True
    """

    def __init__(
        self,
        mean: Float[Array, "..."],
        log_scale: Float[Array, "..."],
        lower: Float[Array, " entries"],
    ):
        mean, log_scale, lower = jnp.asarray(mean), jnp.asarray(log_scale), jnp.asarray(lower)
        expected = (mean.size * (mean.size - 1) // 2,)
        if mean.shape != log_scale.shape or lower.shape != expected:
            raise ValueError(
                f"mean {mean.shape} and log_scale {log_scale.shape} must agree, and lower "
                f"{lower.shape} be the {expected} entries below the diagonal"
            )
        self.loc = mean
        self.log_scale = log_scale
        self.lower = lower

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.loc.shape

    @property
    def _unit_factor(self) -> Float[Array, "d d"]:
        """I + A."""
        return unit_lower_triangle(self.lower, self.loc.size)

    def mean(self) -> Float[Array, "..."]:
        return self.loc

    def stddev(self) -> Float[Array, "..."]:
        """The standard deviation of each element: scale_i sqrt(1 + sum_j A_ij^2)."""
        norms = jnp.linalg.norm(self._unit_factor, axis=1)
        return jnp.exp(self.log_scale) * norms.reshape(self.loc.shape)

    def _transform(self, noise: Float[Array, "n d"]) -> Float[Array, "n ..."]:
        correlated = (noise @ self._unit_factor.T).reshape(-1, *self.loc.shape)
        return self.loc + jnp.exp(self.log_scale) * correlated

    def _log_density_of_noise(self, noise: Float[Array, "... d"]) -> Float[Array, "..."]:
        return -jnp.sum(0.5 * noise**2 + self.log_scale.reshape(-1) + _HALF_LOG_2PI, axis=-1)

    def _sample_n(self, key, n):
        return self._transform(jax.random.normal(key, (n, self.loc.size), self.loc.dtype))

    def _sample_n_and_log_prob(self, key, n):
        noise = jax.random.normal(key, (n, self.loc.size), self.loc.dtype)
        return self._transform(noise), self._log_density_of_noise(noise)

    @highest_precision
    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:
        """The log density log N(value; mean, L L^T), in nats."""
        standardized = (value - self.loc) * jnp.exp(-self.log_scale)
        leading = standardized.shape[: standardized.ndim - self.loc.ndim]
        noise = _substitute(self._unit_factor, standardized.reshape(-1, self.loc.size).T)
        return self._log_density_of_noise(noise.T).reshape(leading)

    def entropy(self) -> Float[Array, ""]:
        """The entropy, in nats."""
        return jnp.sum(self.log_scale + _HALF_LOG_2PI + 0.5)

    def kl_divergence(self, other_dist, **kwargs):
        """KL(self || other) in closed form, in nats, against N(n, diag(t)^2), with s = stddev():

        sum_i log t_i - log_scale_i + (s_i^2 + (mean_i - n_i)^2) / 2 t_i^2 - 1/2.

        Raises:
          NotImplementedError: the other is no DiagonalGaussian.
        """
        if isinstance(other_dist, DiagonalGaussian):
            precision = jnp.exp(-2 * other_dist.log_scale)
            second_moment = self.stddev() ** 2 + (self.loc - other_dist.loc) ** 2
            log_ratio = self.log_scale - other_dist.log_scale
            return jnp.sum(0.5 * (second_moment * precision - 1.0) - log_ratio)
        return super().kl_divergence(other_dist, **kwargs)


def _substitute(factor: Float[Array, "d d"], b: Float[Array, "d n"]) -> Float[Array, "d n"]:
    """x of (I + A) x = b, row after row: x_i = b_i - sum_{j < i} A_ij x_j. In place of
    `solve_triangular`, for the reason that `inverse_of_factor` gives."""
    size = len(factor)
    A = factor - jnp.eye(size, dtype=factor.dtype)

    def forward(_, b):
        return jax.lax.fori_loop(0, size, lambda i, x: x.at[i].add(-A[i] @ x), b)

    def backward(_, b):  # of the transpose, from the last row
        def row(k, x):
            i = size - 1 - k
            return x.at[i].add(-A[:, i] @ x)

        return jax.lax.fori_loop(0, size, row, b)

    return jax.lax.custom_linear_solve(lambda x: factor @ x, b, forward, backward)


def as_gaussian(p: object) -> tuple[Float[Array, " d"], Float[Array, "d d"]] | None:
    """The mean and Cholesky factor (mean, L), of the flat event, of a Gaussian N(mean, L L^T) with
    diagonal or full covariance; None of anything else.
    """
    if isinstance(p, FullGaussian):
        return p.loc.reshape(-1), jnp.exp(p.log_scale.reshape(-1))[:, None] * p._unit_factor
    if isinstance(p, DiagonalGaussian):
        return p.loc.reshape(-1), jnp.diag(jnp.exp(p.log_scale.reshape(-1)))
    return None
