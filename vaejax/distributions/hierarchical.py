"""Several latents, each given those drawn before it."""

from collections.abc import Callable
from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions.capabilities import structure_of
from vaejax.distributions.kl import kl_form, sample_and_kl
from vaejax.types import Distribution, Key


class Hierarchical(distrax.Distribution):
    """Several latents, each given those drawn before it: p(z) = p(z_a) p(z_b | z_a) p(z_c | z_a,
    z_b) ...

    z is a tuple of latents, of any shapes and dtypes.

    Args:
      first: the distribution of the latent that is drawn first.
      *given: for each further one, a function of those drawn before, in the order drawn.
      places: where in z each latent stands, in the order drawn; by default 0, 1, ... With z =
        (top, bottom), a p that draws the top first has (0, 1), a q that runs bottom-up (1, 0).

    Raises:
      ValueError: places does not list each latent once.

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian, Hierarchical
      >>> top = DiagonalGaussian(0.0, 0.0)
      >>> p = Hierarchical(top, lambda a: DiagonalGaussian(a, a - 1.0))
      >>> a, b = p.sample(seed=jax.random.key(0))
      >>> expected = top.log_prob(a) + DiagonalGaussian(a, a - 1.0).log_prob(b)
      >>> bool(jax.numpy.isclose(p.log_prob((a, b)), expected))
      True
    """

    def __init__(
        self,
        first: Distribution,
        *given: Callable[..., Distribution],
        places: tuple[int, ...] | None = None,
    ):
        self.first = first
        self.given = tuple(given)
        self.places = tuple(range(1 + len(given))) if places is None else tuple(places)
        if sorted(self.places) != list(range(1 + len(given))):
            raise ValueError(
                f"places must list 0 to {len(given)}, one for each latent; got {self.places}"
            )

    @property
    def event_shape(self) -> tuple:
        return jax.tree.map(lambda leaf: leaf.shape, structure_of(self))

    def _in_z(self, drawn: list) -> tuple:
        by_place = dict(zip(self.places, drawn, strict=True))
        return tuple(by_place[place] for place in range(len(drawn)))

    def _draw(self, key: Key) -> tuple:
        return self._draw_and_log_density(key)[0]

    def _draw_and_log_density(self, key: Key) -> tuple[tuple, Float[Array, ""]]:
        drawn: list[Any] = []
        total: Any = 0.0
        for part, part_key in zip(
            (lambda: self.first, *self.given),
            jax.random.split(key, 1 + len(self.given)),
            strict=True,
        ):
            z, log_p = part(*drawn).sample_and_log_prob(seed=part_key)
            drawn.append(z)
            total += log_p
        return self._in_z(drawn), total

    def _log_density(self, z: tuple) -> Float[Array, ""]:
        ordered = [z[place] for place in self.places]
        total = self.first.log_prob(ordered[0])
        for k, part in enumerate(self.given, start=1):
            total += part(*ordered[:k]).log_prob(ordered[k])
        return total

    def _sample_n(self, key, n):
        return jax.vmap(self._draw)(jax.random.split(key, n))

    def _sample_n_and_log_prob(self, key, n):
        return jax.vmap(self._draw_and_log_density)(jax.random.split(key, n))

    def log_prob(self, value: tuple) -> Float[Array, "..."]:
        """log p of one z, or of many along leading axes, in nats."""
        return over_leading_axes(self._log_density, structure_of(self), value)

    def check_leaves(self) -> None:
        """Raises TypeError where a conditional is a plain function, which hides its parameters."""
        check_partials("Hierarchical", self.given)

    def kl_form(self, other: Distribution) -> str:
        """How `sample_and_kl` gets the KL, in words."""
        if isinstance(other, Hierarchical) and other.places == self.places:
            return f"layer by layer ({kl_form(self.first, other.first)} at the first)"
        return "log q(z) - log p(z) at the draws"

    def sample_and_kl(self, key: Key, other: Distribution) -> tuple[tuple, Float[Array, ""]]:
        """A draw z and an unbiased estimate of KL(self || other), in nats: against a hierarchy in
        the same order layer by layer, each given the draws before; against anything else log q(z) -
        log p(z).
        """
        if not isinstance(other, Hierarchical) or other.places != self.places:
            z, log_q = self.sample_and_log_prob(seed=key)
            return z, log_q - other.log_prob(z)
        first_key, *keys = jax.random.split(key, 1 + len(self.given))
        z, total = sample_and_kl(first_key, self.first, other.first)
        drawn = [z]
        for part_key, q, p in zip(keys, self.given, other.given, strict=True):
            z, kl = sample_and_kl(part_key, q(*drawn), p(*drawn))
            drawn.append(z)
            total += kl
        return self._in_z(drawn), total


def check_partials(name: str, functions: tuple[Callable, ...]) -> None:
    """Raises TypeError unless each is a `jax.tree_util.Partial`, whose parameters are leaves."""
    for function in functions:
        if not isinstance(function, jax.tree_util.Partial):
            raise TypeError(
                f"expected each conditional of a {name} to be a jax.tree_util.Partial of a "
                "function and its parameters, so that these can be held fixed; got "
                f"{type(function).__name__}: wrap it, or use elbo or iwae"
            )


def over_leading_axes(function: Callable, structure: Any, value: Any) -> Float[Array, "..."]:
    """function of one value, of the given structure -> the same of many, along leading axes."""
    leaf, shape = jax.tree.leaves(value)[0], jax.tree.leaves(structure)[0].shape
    for _ in range(jnp.ndim(leaf) - len(shape)):
        function = jax.vmap(function)
    return function(value)
