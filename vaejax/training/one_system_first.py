"""One system first: the states of a switching prior learn alike, then each on its own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from vaejax.training.update import Loss, Update, gradient_update
from vaejax.types import Key, Parameters


def one_system_first(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    alike: Callable[[Parameters], Parameters],
    apart: Callable[[Key, Parameters], Parameters],
    *,
    first_steps: int,
) -> Update:
    """`gradient_update` that before each of the first `first_steps` steps makes the states of
    theta["prior"] alike; then, once, apart.

    States that differ from the start collapse: while the networks are still far off, the state that
    happens to suit them best takes every step of every sequence, and the others learn nothing.

    Args:
      alike: the prior's parameters -> with states that are all the same.
      apart: (key, the prior's parameters) -> with states that differ.

    Raises:
      ValueError: first_steps below 1.
    """
    if first_steps < 1:
        raise ValueError(f"one_system_first expects first_steps of at least 1; got {first_steps}")
    usual = gradient_update(loss, optimizer)

    def step(key, params, state, examples, draw_batch, step):
        apart_key, key = jax.random.split(key)

        def chosen(now, same, different):
            later = jnp.where(step == first_steps, different, now)
            return jnp.where(step < first_steps, same, later)

        prior = params.generative["prior"]
        prior = jax.tree.map(chosen, prior, alike(prior), apart(apart_key, prior))
        params = params._replace(generative=params.generative | {"prior": prior})
        return usual.step(key, params, state, examples, draw_batch, step)

    return Update(usual.init, step)
