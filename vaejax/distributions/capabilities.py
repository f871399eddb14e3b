"""What a distribution can be asked for. A distribution of another library answers too."""

from typing import Any

import jax
import jax.numpy as jnp

from vaejax.types import Distribution, Key

_DRAWS = 100  # of a mean that has no formula


def has_density(p: Distribution) -> bool:
    """Whether log p is defined; False for a point mass."""
    return getattr(p, "has_density", True)


def has_latent(prior: Distribution) -> bool:
    """Whether there is a z at all; False for `Empty`."""
    return getattr(prior, "has_latent", True)


def has_mean(p: Distribution) -> bool:
    """Whether p.mean() is known by a formula."""
    return _known(p, "mean")


def has_std(p: Distribution) -> bool:
    """Whether p.stddev() is known by a formula."""
    return _known(p, "stddev")


def _known(p: Distribution, moment: str) -> bool:
    try:
        jax.eval_shape(getattr(p, moment))
    except (NotImplementedError, AttributeError):
        return False
    return True


def is_real(p: Distribution) -> bool:
    """Whether draws are of real numbers alone: no whole ones, which have no gradient."""
    leaves = jax.tree.leaves(structure_of(p))
    return all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves)


def twice_differentiable(q: Distribution) -> bool:
    """Whether a second derivative through a draw is right; False for a mixture."""
    return getattr(q, "twice_differentiable", True)


def draws_together(p: Distribution) -> int:
    """How many draws may be made at once; 1 where each would need a copy of all weights."""
    return getattr(p, "draws_together", 500)


def converged(q: Distribution) -> Any:
    """Whether a q that is found by iteration has reached its fixed point, a traced bool; None of
    any other q.
    """
    return getattr(q, "converged", None)


def can_complete(p: Distribution) -> bool:
    """Whether the rest of an x can be drawn given its first elements (`p.complete`)."""
    return hasattr(p, "complete")


def mean_and_noise(key: Key, p: Distribution) -> tuple[Any, Any]:
    """The mean of z and, where it is estimated, the variance of that estimate.

    Returns:
      (E[z], None) where p has a formula. Else (the mean of 100 draws, the variance that each of its
      elements has from them). Of whole numbers, whose mean is no z, one draw stands for it.
    """
    if has_mean(p):
        return p.mean(), None
    draws = p.sample(seed=key, sample_shape=(_DRAWS,))

    def mean(leaf):
        return jnp.mean(leaf, axis=0) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf[0]

    variance = jax.tree.map(lambda leaf: jnp.var(leaf, axis=0, ddof=1) / _DRAWS, draws)
    return jax.tree.map(mean, draws), variance


def mean_and_std(key: Key, p: Distribution) -> tuple[Any, Any]:
    """The mean and the standard deviation of each element of z.

    What p does not know by a formula, `p.mean()` or `p.stddev()`, is that of 100 draws, whole
    numbers taken as real ones.
    """
    if has_mean(p) and has_std(p):
        return p.mean(), p.stddev()  # type: ignore[attr-defined]
    draws = p.sample(seed=key, sample_shape=(_DRAWS,))
    draws = jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(leaf, jnp.float32)), draws)
    std = jax.tree.map(lambda leaf: jnp.std(leaf, axis=0, ddof=1), draws)
    if has_mean(p):
        return p.mean(), std
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), draws), std


def mean_of(key: Key, p: Distribution) -> Any:
    """The mean of z; without a formula (autoregressive, a flow), that of 100 draws."""
    return mean_and_noise(key, p)[0]


def structure_of(p: Distribution) -> Any:
    """Shapes and dtypes of one draw, a pytree of `jax.ShapeDtypeStruct`. Nothing is computed."""
    return jax.eval_shape(lambda key: p.sample(seed=key), jax.eval_shape(lambda: jax.random.key(0)))


def held_fixed(q: Distribution) -> Distribution:
    """The same q, with a stopped gradient at each of its parameters.

    Raises:
      TypeError: q keeps parameters where they cannot be held: not as leaves of a pytree.
    """
    getattr(q, "check_leaves", lambda: None)()
    if has_latent(q) and not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(q)):
        raise TypeError(
            "expected a q whose parameters are leaves of a pytree, as those of a distrax "
            f"distribution are; {type(q).__name__} has no array leaves: use elbo or iwae"
        )
    return jax.tree.map(jax.lax.stop_gradient, q)
