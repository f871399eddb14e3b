"""Whole numbers 0, 1, ..., C - 1 from logits, each element by itself."""

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Categories(distrax.Distribution):
    """Independent categories 0, 1, ..., C - 1, from their logits; the event is the whole array of
    logits but their last axis, which is over the categories.

    log p(x) = sum_i log softmax(logits_i)[x_i], in nats. Values are int32.
    """

    def __init__(self, logits: Float[Array, "... category"]):
        self.logits = logits

    @property
    def num_categories(self) -> int:
        """C."""
        return self.logits.shape[-1]

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.logits.shape[:-1]

    def _sample_n(self, key, n) -> Int[Array, "n ..."]:
        shape = (n, *self.event_shape)
        return jax.random.categorical(key, self.logits, shape=shape).astype(jnp.int32)

    def log_prob(self, value: Int[Array, "..."]) -> Float[Array, "..."]:
        """sum_i log p(x_i), in nats."""
        log_p = jax.nn.log_softmax(self.logits)
        chosen = value[..., None].astype(jnp.int32)
        log_p = jnp.broadcast_to(log_p, (*value.shape, self.num_categories))
        each = jnp.take_along_axis(log_p, chosen, axis=-1)[..., 0]
        return jnp.sum(each, axis=tuple(range(value.ndim - len(self.event_shape), value.ndim)))
