"""A probability for grey values: the logistic density summed over each grey value's bin."""

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class DiscretizedLogistic(distrax.Distribution):
    """Independent grey values k / levels, k = 0..levels, each with the mass that a logistic density
    has in its bin (Kingma et al. 2016, appendix D); the event is the whole array.

    P(x) = F((x + h - mean) / s) - F((x - h - mean) / s), F the logistic cdf, h = 1 / (2 levels),
    s = exp(log_scale); the first and last bins take the tails, so that it sums to one.

    Args:
      mean: in the units of x, where 0 is the lowest and 1 the highest grey value.
      log_scale: log s, of mean's shape.
      levels: the highest k: 255 for images of 8 bits.

    Example:
      >>> import jax, vaejax
      >>> mean, log_scale = jax.numpy.array(0.3), jax.numpy.array(-2.0)
      >>> p = vaejax.distributions.DiscretizedLogistic(mean, log_scale, levels=255)
      >>> grey = jax.numpy.arange(256) / 255
      >>> print(f"{jax.numpy.exp(p.log_prob(grey)).sum():.4f}")
      1.0000
    """

    def __init__(self, mean: Float[Array, "..."], log_scale: Float[Array, "..."], levels: int):
        self.loc = mean
        self.log_scale = jnp.broadcast_to(log_scale, mean.shape)
        self.levels = levels

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.loc.shape

    def mean(self) -> Float[Array, "..."]:
        """E[x] = 1/levels sum_k P(x > k / levels), k = 0..levels - 1."""
        edges = (jnp.arange(self.levels) + 0.5) / self.levels
        above = (self.loc[..., None] - edges) * jnp.exp(-self.log_scale)[..., None]
        return jnp.mean(jax.nn.sigmoid(above), axis=-1)

    def _sample_n(self, key, n):
        noise = jax.random.logistic(key, (n, *self.loc.shape), self.loc.dtype)
        x = self.loc + jnp.exp(self.log_scale) * noise
        return jnp.clip(jnp.round(x * self.levels), 0, self.levels) / self.levels

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:
        """sum_i log P(x_i), in nats."""
        half_bin = 0.5 / self.levels
        upper = (value + half_bin - self.loc) * jnp.exp(-self.log_scale)
        lower = (value - half_bin - self.loc) * jnp.exp(-self.log_scale)
        # F(u) - F(l) = F(u) F(-l) (1 - exp(l - u)): logs of each factor, and no cancellation.
        width = jnp.exp(-self.log_scale) / self.levels
        inside = (
            jax.nn.log_sigmoid(upper) + jax.nn.log_sigmoid(-lower) + jnp.log(-jnp.expm1(-width))
        )
        log_mass = jnp.where(
            value <= half_bin,
            jax.nn.log_sigmoid(upper),
            jnp.where(value >= 1.0 - half_bin, jax.nn.log_sigmoid(-lower), inside),
        )
        return jnp.sum(log_mass, axis=tuple(range(-self.loc.ndim, 0)))
