"""The one door to KL(q || p): the sharpest unbiased estimate that both sides allow."""

from typing import Any

import jax
from jaxtyping import Array, Float

from vaejax.distributions.diagonal_gaussian import DiagonalGaussian
from vaejax.distributions.known_kl import known_kl
from vaejax.types import Distribution, Key


def sample_and_kl(key: Key, q: Distribution, p: Distribution) -> tuple[Any, Float[Array, ""]]:
    """A draw z ~ q and an unbiased estimate of KL(q || p), in nats: the sharpest that both sides
    allow.

    It is the closed form where q has one against p, or was made from this very p (`KnownKL`). Two
    hierarchies go layer by layer, two Markov chains step by step, each given what was drawn before.
    Elsewhere it is log q(z) - log p(z) at the draw.

    Raises:
      TypeError: q is a point mass, which has no KL.

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian, sample_and_kl
      >>> z, kl = sample_and_kl(
      ...     jax.random.key(0), DiagonalGaussian(2.0, 0.0), DiagonalGaussian(0.0, 0.0)
      ... )
      >>> print(f"{kl:.2f}")  # in closed form: the draw does not matter
      2.00
    """
    known = known_kl(q, p)
    if known is not None:
        return q.sample(seed=key), known
    if hasattr(q, "sample_and_kl"):
        return q.sample_and_kl(key, p)
    try:
        kl = q.kl_divergence(p)
    except NotImplementedError:
        z, log_q = q.sample_and_log_prob(seed=key)
        return z, log_q - p.log_prob(z)
    return q.sample(seed=key), kl


def kl_form(q: Distribution, p: Distribution) -> str:
    """How `sample_and_kl` gets the KL, in words: for the protocol of a number."""
    if known_kl(q, p) is not None:
        return "closed form"
    if hasattr(q, "kl_form"):
        return q.kl_form(p)
    try:
        jax.eval_shape(lambda: q.kl_divergence(p))
    except NotImplementedError:
        return "log q(z) - log p(z) at the draws"
    return "closed form"


def kl_per_dimension(q: Distribution, p: Distribution) -> Float[Array, "..."] | None:
    """The KL of each element of z, in nats, where q and p are diagonal Gaussians; else None."""
    if isinstance(q, DiagonalGaussian) and isinstance(p, DiagonalGaussian):
        return q.kl_per_dimension(p)
    return None
