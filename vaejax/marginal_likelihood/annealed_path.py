"""The path of densities from a start that can be sampled to p(x, z), for one x."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from vaejax.marginal_likelihood.checks import check
from vaejax.types import Distribution, Joint, Key, LogJoint, Observation

_SCALE_DRAWS = 200

Flat = Float[Array, " d"]


class AnnealedPath(NamedTuple):
    """log f_beta(z) = (1 - beta) log f_0(z) + beta log p(x, z), z laid out flat.

    f_0 is normalized, so the ratio of normalizers along the path is p(x). The two log densities
    are kept apart: a temperature only weighs them, and costs no evaluation.
    """

    sample_start: Callable[[Key], Flat]
    log_start: Callable[[Flat], Float[Array, ""]]
    log_target: Callable[[Flat], Float[Array, ""]]
    start_scale: Flat  # elementwise standard deviations: the units that HMC moves in
    target_scale: Flat

    def scale(self, beta: Float[Array, ""]) -> Flat:
        """As Gaussians would have it: 1 / s^2 = (1 - beta) / s_0^2 + beta / s_1^2."""
        return jax.lax.rsqrt((1 - beta) / self.start_scale**2 + beta / self.target_scale**2)

    def starts(self, key: Key, count: int) -> "Point":
        """Draws of the start, along the first axis."""
        keys = jax.random.split(key, count)
        return jax.vmap(lambda key: evaluate(self, self.sample_start(key)))(keys)


class Point(NamedTuple):
    """A place, with both log densities and their gradients there."""

    z: Flat
    log_start: Float[Array, ""]
    start_gradient: Flat
    log_target: Float[Array, ""]
    target_gradient: Flat

    def log_density(self, beta: Float[Array, ""]) -> Float[Array, ""]:
        return (1 - beta) * self.log_start + beta * self.log_target

    def gradient(self, beta: Float[Array, ""]) -> Flat:
        return (1 - beta) * self.start_gradient + beta * self.target_gradient

    @property
    def log_ratio(self) -> Float[Array, ""]:
        """d log f_beta / d beta, what a change of temperature weighs."""
        return self.log_target - self.log_start


def evaluate(path: AnnealedPath, z: Flat) -> Point:
    """Both log densities and gradients at z: one gradient evaluation of the model."""
    log_start, start_gradient = jax.value_and_grad(path.log_start)(z)
    log_target, target_gradient = jax.value_and_grad(path.log_target)(z)
    return Point(z, log_start, start_gradient, log_target, target_gradient)


def annealed_path(
    key: Key,
    function: str,
    joint: Joint | LogJoint,
    x: Observation,
    q: Distribution | None,
    *,
    from_prior: bool,
) -> AnnealedPath:
    """The path from the prior, or else from q, to p(x, z); scales from draws of the start and of
    q where there is one.

    Raises, in the name of `function`:
      TypeError: discrete latents; what `check` raises.
      ValueError: what `check` raises.
    """
    shapes = check(function, joint, x, q, needs_prior=from_prior)
    kinds = {str(leaf.dtype) for leaf in jax.tree.leaves(shapes)}
    if not all(jnp.issubdtype(kind, jnp.floating) for kind in kinds):
        raise TypeError(
            f"{function} moves z by gradients and expects floating-point latents; these are "
            f"{', '.join(sorted(kinds))}: log_marginal_likelihood sums a small discrete z exactly, "
            "and importance_sampling takes any"
        )
    _, unravel = ravel_pytree(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))
    start: Any = joint.prior if from_prior else q  # type: ignore[union-attr]

    def draw(distribution, key):
        return ravel_pytree(distribution.sample(seed=key))[0]

    def scale(distribution, key):
        draws = jax.vmap(lambda key: draw(distribution, key))(jax.random.split(key, _SCALE_DRAWS))
        return jnp.maximum(jnp.std(draws, axis=0), 1e-4)

    start_key, target_key = jax.random.split(key)
    start_scale = scale(start, start_key)
    return AnnealedPath(
        sample_start=lambda key: draw(start, key),
        log_start=lambda z: start.log_prob(unravel(z)),
        log_target=lambda z: joint.log_prob(x, unravel(z)),
        start_scale=start_scale,
        target_scale=start_scale if q is None else scale(q, target_key),
    )
