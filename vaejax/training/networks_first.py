"""Networks first: p(z) is fixed at first, then fitted to the codes, then learned with the rest."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vaejax.training.update import Loss, Update, gradient_update
from vaejax.types import Example, Key, Parameters, Params, check_counts


def networks_first(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    codes: Callable[[Params, Key, Example], Any],
    fit: Callable[[Key, Any], Parameters],
    *,
    first_steps: int,
    num_batches: int,
) -> Update:
    """`gradient_update` that does not change theta["prior"] in the first `first_steps` steps.

    Then it sets theta["prior"] once to fit(key, z), where z are the codes of `num_batches` other
    batches, drawn from all training examples.

    A mixture as p(z) that is learned from the start collapses: before the networks use z, one
    component is enough (Dilokthanakul et al. 2016, section 3.3).

    Args:
      codes: (params, key, examples) -> draws z ~ q(z | x), one for each example.
      fit: (key, z) -> the new theta["prior"].

    Raises:
      ValueError: first_steps or num_batches is below 1.
    """
    check_counts("networks_first", first_steps=first_steps, num_batches=num_batches)
    usual = gradient_update(loss, optimizer)

    def fitted(key, params, draw_batch):
        def one(key):
            batch_key, code_key = jax.random.split(key)
            return codes(params, code_key, draw_batch(batch_key))

        fit_key, key = jax.random.split(key)
        z = jax.lax.map(one, jax.random.split(key, num_batches))
        return fit(fit_key, z.reshape(-1, *z.shape[2:]))

    def step(key, params, state, examples, draw_batch, step):
        fit_key, key = jax.random.split(key)
        before = params.generative["prior"]
        # A loop of no rounds costs nothing, even under `vmap` over seeds; a `cond` would. The key
        # depends on the index, since else XLA moves the work out of the loop.
        before = jax.lax.fori_loop(
            0,
            jnp.where(step == first_steps, 1, 0),
            lambda i, prior: fitted(jax.random.fold_in(fit_key, i), params, draw_batch),
            before,
        )
        params = params._replace(generative=params.generative | {"prior": before})
        params, state, terms = usual.step(key, params, state, examples, draw_batch, step)
        prior = jax.tree.map(
            lambda new, old: jnp.where(step < first_steps, old, new),
            params.generative["prior"],
            before,
        )
        return params._replace(generative=params.generative | {"prior": prior}), state, terms

    return Update(usual.init, step)
