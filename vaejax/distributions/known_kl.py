"""A q that was made from a prior, and knows its KL from it."""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from vaejax.types import Distribution


class KnownKL(NamedTuple):
    """The closed form of KL(q || prior) that a q carries, as its `known_kl`, when it was made from
    that prior.

    A q in proportion to p(z) exp(psi(z)) has KL(q || p) = E_q[psi] - log Z. It is known of that p
    alone: the same object, or the same arrays in the same places.

    Attributes:
      prior: what q was made from.
      value: in nats.
    """

    prior: Distribution
    value: Float[Array, ""]


def known_kl(q: Distribution, p: Distribution) -> Float[Array, ""] | None:
    """KL(q || p) where q was made from this very p, else None."""
    known = getattr(q, "known_kl", None)
    return known.value if known is not None and same_arrays(known.prior, p) else None


def same_arrays(a: Any, b: Any) -> bool:
    """Whether two pytrees are of one structure and hold the same objects in it."""
    if a is b:
        return True
    leaves, structure = jax.tree.flatten(a)
    others, other_structure = jax.tree.flatten(b)
    if structure != other_structure:  # type: ignore[operator]
        return False
    return all(x is y for x, y in zip(leaves, others, strict=True))
