"""One system first: the states of a switching prior are kept equal at first, then learned apart."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from vaejax.training.update import Loss, Update, gradient_update
from vaejax.types import Key, Parameters, check_counts


def one_system_first(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    make_equal: Callable[[Parameters], Parameters],
    make_different: Callable[[Key, Parameters], Parameters],
    *,
    first_steps: int,
) -> Update:
    """`gradient_update` that makes the states of theta["prior"] equal before each of the first
    `first_steps` steps, and different once after them.

    If states differ from the start, they collapse: while the networks are still poor, the state
    that suits them best takes every step of every sequence, and the others learn nothing.

    Args:
      make_equal: parameters of the prior -> parameters with equal states.
      make_different: (key, parameters of the prior) -> parameters with different states.

    Raises:
      ValueError: first_steps is below 1.
    """
    check_counts("one_system_first", first_steps=first_steps)
    usual = gradient_update(loss, optimizer)

    def step(key, params, state, examples, draw_batch, step):
        different_key, key = jax.random.split(key)

        def chosen(now, same, different):
            later = jnp.where(step == first_steps, different, now)
            return jnp.where(step < first_steps, same, later)

        prior = params.generative["prior"]
        different = make_different(different_key, prior)
        prior = jax.tree.map(chosen, prior, make_equal(prior), different)
        params = params._replace(generative=params.generative | {"prior": prior})
        return usual.step(key, params, state, examples, draw_batch, step)

    return Update(usual.init, step)
