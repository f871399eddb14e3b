"""A uniform mixture of autoregressive models, in orders or with masks of their own."""

from collections.abc import Callable

import distrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vaejax.distributions.autoregressive import Autoregressive


class AutoregressiveEnsemble(distrax.Distribution):
    """A uniform mixture of M autoregressive models of binary x: p(x) = (1 / M) sum_m p_m(x)
    (EoNADE, Uria et al. 2014; MADE, Germain et al. 2015).

    Args:
      logits: (m, x) -> the logits of member m at x, a function of what precedes in its order.
      orders: each member's order of the elements of the flat x, first to last.
      event_shape: of one x.
    """

    draws_together = 1

    def __init__(
        self,
        logits: Callable[[Int[Array, ""], Float[Array, "..."]], Float[Array, "..."]],
        orders: Int[np.ndarray, "members d"],
        event_shape: tuple[int, ...],
    ):
        self.logits = logits
        self.orders = orders
        self._event_shape = event_shape

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self._event_shape

    @property
    def num_members(self) -> int:
        """M."""
        return len(self.orders)

    def member(self, m: Int[Array, ""]) -> Autoregressive:
        """p_m; m may be traced."""
        return Autoregressive(
            lambda x: self.logits(m, x), self.event_shape, jnp.asarray(self.orders)[m]
        )

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """log p(x) = logsumexp_m log p_m(x) - log M, in nats: M evaluations for each x."""
        log_probs = jax.lax.map(lambda m: self.member(m).log_prob(value), self._members())
        return jax.nn.logsumexp(log_probs, axis=0) - jnp.log(self.num_members)

    def first(self, num: int) -> Array:
        """Which elements of x are the first `num` of every order: booleans of the event's shape.

        Raises:
          ValueError: the orders begin with different ones.
        """
        starts = np.sort(self.orders[:, :num], axis=1)
        if np.any(starts != starts[0]):
            raise ValueError(
                f"the first {num} elements are not the same in all orders: given some that an "
                "order does not begin with, the rest cannot be drawn exactly; use one order"
            )
        return self.member(jnp.asarray(0)).first(num)

    def complete(self, key: Array, x: Float[Array, "..."], num_known: int) -> Float[Array, "..."]:
        """One exact draw of the elements of x after the first `num_known`, given those: a member m
        with probability proportional to p_m(known), then the rest from it.

        Raises:
          ValueError: the orders begin with different elements.
        """
        self.first(num_known)
        member_key, key = jax.random.split(key)
        log_weights = jax.lax.map(
            lambda m: self.member(m).log_prob_first(x, num_known), self._members()
        )
        m = jax.random.categorical(member_key, log_weights)
        return self.member(m).complete(key, x, num_known)

    def _members(self):
        return jnp.arange(self.num_members)

    def _sample_n(self, key, n):
        # One by one: together, each would need a masked copy of all weights.
        def one(key):
            member_key, key = jax.random.split(key)
            m = jax.random.randint(member_key, (), 0, self.num_members)
            return self.member(m).sample(seed=key)

        return jax.lax.map(one, jax.random.split(key, n))
