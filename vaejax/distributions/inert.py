"""A chain whose steps beyond its length have a density of their own."""

from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions.capabilities import is_real, structure_of
from vaejax.distributions.frames import filled
from vaejax.distributions.hierarchical import over_leading_axes
from vaejax.distributions.kl import kl_form, sample_and_kl
from vaejax.distributions.markov import Markov
from vaejax.types import Distribution, Key

_INERT = 2**32 - 1  # a stream of keys beside those of the chain's steps


class WithInertSteps(distrax.Distribution):
    """A `Markov` chain, with N(0, I) for the steps of z beyond its length.

    In a chain these are in no density. A family over all of z has them, so that its log q(z) would
    count what log p(z) does not. With this prior both count them: p(x) stays what it is, and so do
    the ELBO's best value and p(z | x) but for these steps, where the best q is N(0, I).
    """

    def __init__(self, chain: Markov):
        self.chain = chain

    @property
    def event_shape(self) -> Any:
        return self.chain.event_shape

    def _filled(self, key: Key, z: Any) -> Any:
        """z, which the chain leaves at 0 in its inert steps, with draws there."""
        leaves, structure = jax.tree.flatten(z)
        keys = jax.random.split(jax.random.fold_in(key, _INERT), len(leaves))
        noise = [jax.random.normal(k, a.shape, a.dtype) for k, a in zip(keys, leaves, strict=True)]
        noise = filled(jax.tree.unflatten(structure, noise), ~self.chain.beyond)
        return jax.tree.map(jnp.add, z, noise)

    def _log_inert(self, z: Any) -> Float[Array, ""]:
        log_p = filled(jax.tree.map(jax.scipy.stats.norm.logpdf, z), ~self.chain.beyond)
        return jnp.sum(jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves(log_p)]))

    def _draw_and_log_density(self, key: Key) -> tuple[Any, Float[Array, ""]]:
        z, log_p = self.chain.sample_and_log_prob(seed=key)
        z = self._filled(key, z)
        return z, log_p + self._log_inert(z)

    def _log_density(self, z: Any) -> Float[Array, ""]:
        return self.chain.log_prob(z) + self._log_inert(z)

    def _sample_n(self, key, n):
        return jax.vmap(lambda k: self._draw_and_log_density(k)[0])(jax.random.split(key, n))

    def _sample_n_and_log_prob(self, key, n):
        return jax.vmap(self._draw_and_log_density)(jax.random.split(key, n))

    def log_prob(self, value: Any) -> Float[Array, "..."]:
        """log p of one z, or of many along leading axes, in nats."""
        return over_leading_axes(self._log_density, structure_of(self), value)

    def check_leaves(self) -> None:
        """Raises TypeError where the chain's step is a plain function."""
        self.chain.check_leaves()

    def kl_form(self, other: Distribution) -> str:
        """How `sample_and_kl` gets the KL, in words."""
        if isinstance(other, WithInertSteps):
            return kl_form(self.chain, other.chain)
        return "log q(z) - log p(z) at the draws"

    def sample_and_kl(self, key: Key, other: Distribution) -> tuple[Any, Float[Array, ""]]:
        """A draw z and an unbiased estimate of KL(self || other), in nats: of two such chains that
        of the chains, for the inert steps are alike.
        """
        if isinstance(other, WithInertSteps):
            z, kl = sample_and_kl(key, self.chain, other.chain)
            return self._filled(key, z), kl
        z, log_q = self.sample_and_log_prob(seed=key)
        return z, log_q - other.log_prob(z)


def with_inert_steps(p: Distribution) -> Distribution:
    """The same p, or, where it is a chain of floating-point latents with a length of its own, p
    with N(0, I) for the steps beyond.
    """
    if not isinstance(p, Markov) or p.length is None:
        return p
    return WithInertSteps(p) if is_real(p) else p
