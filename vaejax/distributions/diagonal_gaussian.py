"""Gaussian with diagonal covariance: the usual prior, the usual q, a likelihood of real data."""

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_HALF_LOG_2PI = 0.9189385332046727


class DiagonalGaussian(distrax.Distribution):
    """A Gaussian with diagonal covariance: N(mean, diag(exp(log_scale))^2); the event is the whole
    array.

    Raises:
      ValueError: mean and log_scale have different shapes.

    Example:
      >>> import jax, vaejax
      >>> q = vaejax.distributions.DiagonalGaussian(jax.numpy.ones(3), jax.numpy.zeros(3))
      >>> p = vaejax.distributions.standard_normal(3)
      >>> print(f"{q.kl_divergence(p):.2f}")  # |mean|^2 / 2, in nats
      1.50
    """

    def __init__(self, mean: Float[Array, "..."], log_scale: Float[Array, "..."]):
        mean, log_scale = jnp.asarray(mean), jnp.asarray(log_scale)
        if mean.shape != log_scale.shape:
            raise ValueError(f"mean {mean.shape} and log_scale {log_scale.shape} must agree")
        self.loc = mean
        self.log_scale = log_scale

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.loc.shape

    @property
    def _axes(self):
        return tuple(range(-self.loc.ndim, 0))

    def mean(self) -> Float[Array, "..."]:
        return self.loc

    def stddev(self) -> Float[Array, "..."]:
        return jnp.exp(self.log_scale)

    def _log_density_of_noise(self, noise):
        return -jnp.sum(0.5 * noise**2 + self.log_scale + _HALF_LOG_2PI, axis=self._axes)

    def _sample_n(self, key, n):
        noise = jax.random.normal(key, (n, *self.loc.shape), self.loc.dtype)
        return self.loc + jnp.exp(self.log_scale) * noise

    def _sample_n_and_log_prob(self, key, n):
        # log q(z) from the noise itself: neither a subtraction nor a division to lose digits in.
        noise = jax.random.normal(key, (n, *self.loc.shape), self.loc.dtype)
        return self.loc + jnp.exp(self.log_scale) * noise, self._log_density_of_noise(noise)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:
        """The log density, in nats: the sum over the event of log N(value; mean, scale^2)."""
        return self._log_density_of_noise((value - self.loc) * jnp.exp(-self.log_scale))

    def kl_per_dimension(self, other: "DiagonalGaussian") -> Float[Array, "..."]:
        """The KL of each element, in nats:

        KL(N(m, s^2) || N(n, t^2)) = log t/s + (s^2 + (m - n)^2) / 2t^2 - 1/2.
        """
        difference = (self.loc - other.loc) * jnp.exp(-other.log_scale)
        log_ratio = self.log_scale - other.log_scale
        return 0.5 * (jnp.exp(2 * log_ratio) + difference**2 - 1.0) - log_ratio

    def kl_divergence(self, other_dist, **kwargs):
        """KL(self || other) in closed form, in nats, against another diagonal Gaussian.

        Raises:
          NotImplementedError: the other is of another kind.
        """
        if isinstance(other_dist, DiagonalGaussian):
            return jnp.sum(self.kl_per_dimension(other_dist), axis=self._axes)
        return super().kl_divergence(other_dist, **kwargs)

    def entropy(self) -> Float[Array, ""]:
        """The entropy, in nats."""
        return jnp.sum(self.log_scale + _HALF_LOG_2PI + 0.5, axis=self._axes)


def standard_normal(*shape: int) -> DiagonalGaussian:
    """The standard normal distribution N(0, I) over an array of the given shape."""
    return DiagonalGaussian(jnp.zeros(shape), jnp.zeros(shape))


def as_diagonal_gaussian(p: object) -> DiagonalGaussian | None:
    """The same p where it is a DiagonalGaussian, else None: for what has a closed form for these
    alone.
    """
    return p if isinstance(p, DiagonalGaussian) else None
