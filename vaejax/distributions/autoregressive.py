"""Binary observations, each given those before it."""

from collections.abc import Callable

import distrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vaejax.distributions.bernoulli import Bernoulli, softplus


class Autoregressive(distrax.Distribution):
    """Binary x, each element given those before it: p(x) = prod_i p(x_i | x_<i) (Larochelle &
    Murray 2011; MADE, Germain et al. 2015).

    E[x] has no closed form: `mean` is not implemented.

    Args:
      logits: x -> a(x), of x's shape: a_i is a function of x_<i alone, in whatever order of the
        elements.
      event_shape: of one x.
      order: the elements of the flat x, first to last; as they lie, unless given. `first` and
        `complete` alone ask for it.
    """

    def __init__(
        self,
        logits: Callable[[Float[Array, "..."]], Float[Array, "..."]],
        event_shape: tuple[int, ...],
        order: Int[Array, " d"] | None = None,
    ):
        self.logits = logits
        self._event_shape = event_shape
        self.order = order

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self._event_shape

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """sum_i log p(x_i | x_<i), in nats; one evaluation of the logits for each x."""
        leading = value.shape[: value.ndim - len(self.event_shape)]
        xs = value.reshape(-1, *self.event_shape)
        return jax.vmap(lambda x: Bernoulli(self.logits(x)).log_prob(x))(xs).reshape(leading)

    def first(self, num: int) -> Array:
        """Which elements of x are the first `num` of the order: booleans of the event's shape."""
        size = int(np.prod(self.event_shape))
        order = jnp.arange(size) if self.order is None else jnp.asarray(self.order)
        return (jnp.argsort(order) < num).reshape(self.event_shape)

    def log_prob_first(self, x: Float[Array, "..."], num: int) -> Float[Array, ""]:
        """log p of the first `num` elements of one x: the product of their conditionals. The
        others do not enter."""
        x = jnp.where(self.first(num), x, 0.0)
        logits = self.logits(x)
        return jnp.sum(jnp.where(self.first(num), x * logits - softplus(logits), 0.0))

    def complete(self, key: Array, x: Float[Array, "..."], num_known: int) -> Float[Array, "..."]:
        """One exact draw of the elements of x after the first `num_known` of the order, given
        those; what x has in their places does not enter."""
        return self._sample_one(key, self.first(num_known), x)

    def _sample_n(self, key, n):
        return jax.vmap(self._sample_one)(jax.random.split(key, n))

    def _sample_one(self, key, known=False, x=0.0):
        # x_i = 1[u_i < sigmoid(a_i(x_<i))] has one solution, the sample with this noise. Sweep k
        # settles the k-th element of the order, if not more: when nothing changes, it is found.
        # What is known stays.
        uniform = jax.random.uniform(key, self.event_shape)

        def sweep(sample):
            drawn = (uniform < jax.nn.sigmoid(self.logits(sample))).astype(uniform.dtype)
            return jnp.where(known, x, drawn)

        start = jnp.where(known, x, jnp.zeros(self.event_shape, uniform.dtype))
        return jax.lax.while_loop(
            lambda pair: jnp.any(pair[0] != pair[1]),
            lambda pair: (pair[1], sweep(pair[1])),
            (start, sweep(start)),
        )[1]
