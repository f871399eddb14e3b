"""Bernoulli observations from logits, with one softplus where distrax evaluates two."""

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_jvp
def softplus(a: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(1 + exp(a)) = max(a, 0) + log(1 + exp(-|a|)); stable for every a."""
    return jnp.maximum(a, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(a)))


@softplus.defjvp
def _softplus_jvp(primals, tangents):
    # The derivative is the sigmoid; written with the same exp(-|a|) so that XLA computes it once.
    (a,), (tangent,) = primals, tangents
    e = jnp.exp(-jnp.abs(a))
    sigmoid = jnp.where(a >= 0, 1.0, e) / (1.0 + e)
    return jnp.maximum(a, 0.0) + jnp.log1p(e), sigmoid * tangent


class Bernoulli(distrax.Distribution):
    """Independent binary values, from their logits; the event is the whole array of logits.

    log p(x) = sum_i x_i a_i - log(1 + exp(a_i)), with logits a, in nats.

    Example:
      >>> import jax, vaejax
      >>> p = vaejax.distributions.Bernoulli(jax.numpy.zeros((2, 2)))
      >>> p.event_shape
      (2, 2)
      >>> print(f"{jax.numpy.exp(p.log_prob(jax.numpy.ones((2, 2)))):.4f}")  # 1 / 2^4
      0.0625
    """

    def __init__(self, logits: Float[Array, "..."]):
        self.logits = logits

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.logits.shape

    def _sample_n(self, key, n):
        uniform = jax.random.uniform(key, (n, *self.logits.shape), self.logits.dtype)
        return (uniform < jax.nn.sigmoid(self.logits)).astype(self.logits.dtype)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:
        """sum_i log p(x_i), in nats."""
        # XLA's CPU backend fuses the elementwise work into a sum over one axis, not over several.
        value = value.reshape(*value.shape[: value.ndim - self.logits.ndim], -1)
        logits = self.logits.reshape(-1)
        return jnp.sum(value * logits - softplus(logits), axis=-1)

    def mean(self) -> Float[Array, "..."]:
        """The probabilities of 1: sigmoid(logits)."""
        return jax.nn.sigmoid(self.logits)
