"""Binary observations, each given those before it."""

from collections.abc import Callable

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions.bernoulli import Bernoulli


class Autoregressive(distrax.Distribution):
    """p(x) = prod_i p(x_i | x_<i) of binary x, with logits a(x): a_i a function of x_<i alone, in
    whatever order of the elements (Larochelle & Murray 2011; MADE, Germain et al. 2015).

    E[x] has no closed form: `mean` is not implemented.
    """

    def __init__(
        self,
        logits: Callable[[Float[Array, "..."]], Float[Array, "..."]],
        event_shape: tuple[int, ...],
    ):
        self.logits = logits
        self._event_shape = event_shape

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self._event_shape

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """sum_i log p(x_i | x_<i), in nats; one evaluation of the logits for each x."""
        leading = value.shape[: value.ndim - len(self.event_shape)]
        xs = value.reshape(-1, *self.event_shape)
        return jax.vmap(lambda x: Bernoulli(self.logits(x)).log_prob(x))(xs).reshape(leading)

    def _sample_n(self, key, n):
        return jax.vmap(self._sample_one)(jax.random.split(key, n))

    def _sample_one(self, key):
        # x_i = 1[u_i < sigmoid(a_i(x_<i))] has one solution, the sample with this noise. Sweep k
        # settles the k-th element of the order, if not more: when nothing changes, it is found.
        uniform = jax.random.uniform(key, self.event_shape)

        def sweep(x):
            return (uniform < jax.nn.sigmoid(self.logits(x))).astype(uniform.dtype)

        start = jnp.zeros(self.event_shape, uniform.dtype)
        return jax.lax.while_loop(
            lambda pair: jnp.any(pair[0] != pair[1]),
            lambda pair: (pair[1], sweep(pair[1])),
            (start, sweep(start)),
        )[1]
