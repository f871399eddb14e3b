"""The state of training."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from vaejax.training.update import Update
from vaejax.types import GenerativeModel, InferenceNetwork, Key, Params


class TrainState(NamedTuple):
    """Everything that training carries from one step to the next; with the data it determines all
    that follows. `key` is split in three: fold_in(first, e) gives the order of epoch e,
    fold_in(second, t) the noise of step t, and the third is for validation. `update` is the state
    of the update, such as that of an optimizer."""

    step: Int[Array, ""]
    params: Params
    update: Any
    key: Key


def init_params(
    key: Key, generative: GenerativeModel, inference: InferenceNetwork
) -> tuple[Params, Key]:
    """(initial parameters, key for training)."""
    generative_key, inference_key, train_key = jax.random.split(key, 3)
    params = Params(generative.init(generative_key), inference.init(inference_key))
    # A weak type would become strong after one step, and everything would compile again.
    strong = jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), params)
    return strong, train_key


def init_state(
    key: Key, generative: GenerativeModel, inference: InferenceNetwork, update: Update
) -> TrainState:
    """The initial state."""
    params, train_key = init_params(key, generative, inference)
    return TrainState(jnp.zeros((), jnp.int32), params, update.init(params), train_key)
