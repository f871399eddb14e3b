"""What follows a sequence, under a state-space model."""

from typing import Any

import jax
import jax.numpy as jnp

from vaejax.distributions import (
    StateSpace,
    check_room,
    filter_particles,
    steps_of,
    systematic,
)
from vaejax.types import Distribution, Key, Latent, Observation, check_counts, num_rows


def forecast(
    key: Key,
    model: StateSpace,
    x: Observation,
    q: Distribution | None = None,
    *,
    num_steps: int,
    num_particles: int,
    length: Any = None,
) -> tuple[Latent, Observation]:
    """Draws of what follows a sequence under a state-space model, by a particle filter.

    The filter follows x to its end. Its particles, drawn anew by their weights and in random order,
    then move by the model's transitions. So the draws are right in the limit of many particles.
    Those that share an ancestor are not independent.

    Args:
      model: parameters and conditions bound, the actions of the steps to come among them: those
        of T + num_steps steps.
      x: the T frames that are seen, time first. Missing ones are integrated over.
      q: a `Markov` whose steps move the filter's particles, made of these frames alone; the model's
        own transitions unless given.
      num_steps: how many steps to draw.
      num_particles: and as many draws.
      length: T, where x is padded; may be traced.

    Returns:
      (z, x) at the steps T, ..., T + num_steps - 1, from p(z, x | x_0..x_{T-1}): draws along the
        first axis, then time.

    Raises:
      TypeError: q is no `Markov` chain.
      ValueError: num_steps or num_particles below 1; a length beyond x; fewer steps in the model's
        conditions than T + num_steps, where T is known; x or q of other shapes than the model's, or
        outside the support of p(x_t | z_t).

    Example:
      A random walk seen with little noise: its mean stays, its variance grows by 1 a step.

      >>> import jax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> from vaejax.generative import StateSpace, forecast
      >>> model = StateSpace(
      ...     DiagonalGaussian(0.0, 0.0),
      ...     lambda t, z: DiagonalGaussian(z, 0.0 * z),
      ...     lambda t, z: DiagonalGaussian(z, 0.0 * z - 3.0),
      ... )
      >>> x, settings = jax.numpy.array([0.5, 1.0]), {"num_steps": 4, "num_particles": 5000}
      >>> z, _ = jax.jit(lambda key: forecast(key, model, x, **settings))(jax.random.key(0))
      >>> bool(abs(z[:, 3].mean() - 1.0) < 0.2), bool(abs(z[:, 3].var() - 4.0) < 0.5)
      (True, True)
    """
    check_counts("forecast", num_steps=num_steps, num_particles=num_particles)
    if not isinstance(model, StateSpace):
        raise TypeError(f"forecast expects a StateSpace; got {type(model).__name__}")
    seen = num_rows(x) if length is None else length
    check_room("forecast", model, seen + num_steps)
    steps_of("forecast", model, x, q, length)
    first = jnp.asarray(seen, jnp.int32)
    filter_key, resample_key, order_key, move_key = jax.random.split(key, 4)
    found = filter_particles(filter_key, model, x, q, num_particles=num_particles, length=length)
    ancestors = systematic(resample_key, found.log_weights)
    ancestors = jax.random.permutation(order_key, ancestors)

    def one(keys, t, z):
        z = model.transition(t, z).sample(seed=keys[0])
        return z, model.emission(t, z).sample(seed=keys[1])

    def step(z, t):
        keys = jax.random.split(jax.random.fold_in(move_key, t - first), (num_particles, 2))
        both = jax.vmap(one, (0, None, 0))(keys, t, z)
        return both[0], both

    start = jax.tree.map(lambda leaf: leaf[ancestors], found.z)
    _, along = jax.lax.scan(step, start, first + jnp.arange(num_steps))
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), along)
