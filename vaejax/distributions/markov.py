"""A chain of latents, each given the one before."""

from collections.abc import Callable
from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vaejax.distributions.capabilities import structure_of
from vaejax.distributions.hierarchical import check_partials, over_leading_axes
from vaejax.distributions.kl import kl_form, sample_and_kl
from vaejax.types import Distribution, Key


class Markov(distrax.Distribution):
    """A chain of latents, each given the one before: p(z) = p(z_0) prod_{t=1}^{T-1} p(z_t |
    z_{t-1}).

    z has time as the first axis of each of its arrays.

    Args:
      initial: the distribution of z_0.
      step: (t, z_{t-1}) -> the distribution of z_t, t = 1..T-1; t is traced.
      num_steps: T, how many steps z has room for.
      length: how many of them count, `num_steps` unless given; may be traced. Steps beyond it are
        0 when drawn, and are in no density and no KL.

    Raises:
      ValueError: num_steps below 1.

    Example:
      Two random walks that differ at the start alone have the KL of their starts.

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian, Markov, sample_and_kl
      >>> step = lambda t, z: DiagonalGaussian(z, 0.0 * z)
      >>> q = Markov(DiagonalGaussian(2.0, 0.0), step, num_steps=5)
      >>> p = Markov(DiagonalGaussian(0.0, 0.0), step, num_steps=5)
      >>> z, kl = sample_and_kl(jax.random.key(0), q, p)
      >>> z.shape, float(kl)
      ((5,), 2.0)
    """

    def __init__(
        self,
        initial: Distribution,
        step: Callable[[Int[Array, ""], Any], Distribution],
        num_steps: int,
        length: Int[Array, ""] | int | None = None,
    ):
        if num_steps < 1:
            raise ValueError(f"num_steps must be at least 1; got {num_steps}")
        self.initial = initial
        self.step = step
        self.num_steps = num_steps
        self.length = length

    @property
    def event_shape(self) -> Any:
        return jax.tree.map(lambda leaf: leaf.shape, structure_of(self))

    def _counts(self, t) -> Any:
        return True if self.length is None else t < self.length

    @property
    def beyond(self) -> Bool[Array, " time"]:
        """Which steps are beyond the length."""
        length = self.num_steps if self.length is None else self.length
        return jnp.arange(self.num_steps) >= length

    def _scan(self, key: Key, first: Callable, later: Callable) -> tuple[Any, Float[Array, ""]]:
        """(z, total) where first(key) and later(key, t, z_{t-1}) give (z_t, term); what is beyond
        the length is 0. Step t uses fold_in(key, t): nothing depends on num_steps."""

        def masked(t, z, term):
            counts = self._counts(t)
            z = jax.tree.map(lambda leaf: jnp.where(counts, leaf, jnp.zeros_like(leaf)), z)
            return z, jnp.where(counts, term, 0.0)

        z, total = masked(0, *first(jax.random.fold_in(key, 0)))

        def body(carry, t):
            before, total = carry
            z, term = masked(t, *later(jax.random.fold_in(key, t), t, before))
            return (z, total + term), z

        (_, total), rest = jax.lax.scan(body, (z, total), jnp.arange(1, self.num_steps))
        return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), z, rest), total

    def _draw_and_log_density(self, key: Key) -> tuple[Any, Float[Array, ""]]:
        return self._scan(
            key,
            lambda k: self.initial.sample_and_log_prob(seed=k),
            lambda k, t, z: self.step(t, z).sample_and_log_prob(seed=k),
        )

    def _draw(self, key: Key) -> Any:
        return self._draw_and_log_density(key)[0]

    def _log_density(self, z: Any) -> Float[Array, ""]:
        first = self.initial.log_prob(jax.tree.map(lambda leaf: leaf[0], z))
        times = jnp.arange(1, self.num_steps)
        before = jax.tree.map(lambda leaf: leaf[:-1], z)
        after = jax.tree.map(lambda leaf: leaf[1:], z)
        terms = jax.vmap(lambda t, a, b: self.step(t, a).log_prob(b))(times, before, after)
        return jnp.where(self._counts(0), first, 0.0) + jnp.sum(
            jnp.where(self._counts(times), terms, 0.0)
        )

    def _sample_n(self, key, n):
        return jax.vmap(self._draw)(jax.random.split(key, n))

    def _sample_n_and_log_prob(self, key, n):
        return jax.vmap(self._draw_and_log_density)(jax.random.split(key, n))

    def log_prob(self, value: Any) -> Float[Array, "..."]:
        """log p of one z, or of many along leading axes, in nats."""
        return over_leading_axes(self._log_density, structure_of(self), value)

    def check_leaves(self) -> None:
        """Raises TypeError where `step` is a plain function, which hides its parameters."""
        check_partials("Markov", (self.step,))

    def kl_form(self, other: Distribution) -> str:
        """How `sample_and_kl` gets the KL, in words."""
        if isinstance(other, Markov):
            return f"step by step ({kl_form(self.initial, other.initial)} at the first)"
        return "log q(z) - log p(z) at the draws"

    def sample_and_kl(self, key: Key, other: Distribution) -> tuple[Any, Float[Array, ""]]:
        """A draw z and an unbiased estimate of KL(self || other), in nats: against another chain
        step by step, each given the draw before; against anything else log q(z) - log p(z).

        Raises:
          ValueError: chains of another number of steps.
        """
        if not isinstance(other, Markov):
            z, log_q = self.sample_and_log_prob(seed=key)
            return z, log_q - other.log_prob(z)
        if other.num_steps != self.num_steps:
            raise ValueError(
                f"expected chains of one length; got q of {self.num_steps} and p of "
                f"{other.num_steps} steps"
            )
        z, _ = self._scan(
            key,
            lambda k: sample_and_kl(k, self.initial, other.initial),
            lambda k, t, z: (sample_and_kl(k, self.step(t, z), other.step(t, z))[0], 0.0),
        )
        # The draws are one after another, their KLs need not be: each step is drawn again from its
        # own key and the z before, which the chain has made known.
        _, first = sample_and_kl(jax.random.fold_in(key, 0), self.initial, other.initial)
        times = jnp.arange(1, self.num_steps)
        before = jax.tree.map(lambda leaf: leaf[:-1], z)

        def later(t, z):
            return sample_and_kl(jax.random.fold_in(key, t), self.step(t, z), other.step(t, z))[1]

        later_kl = jnp.where(self._counts(times), jax.vmap(later)(times, before), 0.0)
        return z, jnp.where(self._counts(0), first, 0.0) + jnp.sum(later_kl)
