"""The training step, and many steps in one compiled program."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array, Int

from vaejax.objectives import Terms
from vaejax.training.state import TrainState
from vaejax.training.terms import TermsOf, over_batch
from vaejax.training.update import Loss, Update
from vaejax.types import Example, Key, num_rows

Observe = Callable[[Key, Any], Example]  # a batch of stored arrays -> a batch of examples


class Step(NamedTuple):
    """What a step says.

    Attributes:
      terms: means over the batch.
      broken: the first example, by its index in the data, whose objective is not finite where
        another one's is; -1 where there is none.
    """

    terms: Terms
    broken: Int[Array, ""]


def loss_of(terms_of: TermsOf) -> Loss:
    """A function of a batch: (minus the mean objective, the Terms of each example)."""
    batch_terms = over_batch(terms_of)

    def loss(params, key, examples, step):
        terms = batch_terms(params, key, examples, step)
        return -jnp.mean(terms.value), terms

    return loss


def epoch_order(state_key: Key, epoch: int, num_examples: int) -> Int[Array, " n"]:
    """The order of the examples in an epoch."""
    order_key, _, _ = jax.random.split(state_key, 3)
    return jax.random.permutation(jax.random.fold_in(order_key, epoch), num_examples)


def validation_key(state_key: Key) -> Key:
    """The key for the noise of validation: the same at every validation of a run."""
    return jax.random.split(state_key, 3)[2]


def make_steps(
    update: Update, observe: Observe, batch_sharding: NamedSharding | None = None
) -> Callable[..., Any]:
    """A function (state, indices, data, time=None) -> (state, the `Step` of each step).

    `indices` has the examples of each step. `time` (static) is the number of frames that are used,
    by default all. Taking the batch, binarizing it and the update all run on the device, in one
    `lax.scan`.
    """

    def batch(key, indices, data, time=None):
        part = indices if time is None else (indices, slice(time))
        stored = jax.tree.map(lambda leaf: leaf[part], data)
        if batch_sharding is not None:
            stored = jax.lax.with_sharding_constraint(stored, batch_sharding)
        # Without the barrier XLA fuses the binarization into everything that reads x, and repeats
        # it for each of K samples.
        return jax.lax.optimization_barrier(observe(key, stored))

    def one_step(state, indices, data, time):
        _, step_key, _ = jax.random.split(state.key, 3)
        observe_key, update_key = jax.random.split(jax.random.fold_in(step_key, state.step))
        size, n = len(indices), num_rows(data)

        def draw_batch(key):
            index_key, observe_key = jax.random.split(key)
            return batch(observe_key, jax.random.randint(index_key, (size,), 0, n), data)

        examples = batch(observe_key, indices, data, time)
        params, update_state, terms = update.step(
            update_key, state.params, state.update, examples, draw_batch, state.step
        )
        state = TrainState(state.step + 1, params, update_state, state.key)
        finite = jnp.isfinite(terms.value)
        broken = jnp.where(jnp.all(finite == finite[0]), -1, indices[jnp.argmin(finite)])
        return state, Step(jax.tree.map(jnp.mean, terms), broken)

    def steps(state, indices, data, time=None):
        return jax.lax.scan(lambda s, i: one_step(s, i, data, time), state, indices)

    return steps
