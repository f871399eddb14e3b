"""All that training carries from one step to the next."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from vaejax.training.update import Update
from vaejax.types import GenerativeModel, InferenceNetwork, Key, Params


class TrainState(NamedTuple):
    """`key` is split in three: epoch e's order is fold_in(the first, e), step t's noise
    fold_in(the second, t), the third is the validation's. So the state and the data determine
    everything that follows. `update` is what the update carries along: an optimizer's state."""

    step: Int[Array, ""]
    params: Params
    update: Any
    key: Key


def init_params(
    key: Key, generative: GenerativeModel, inference: InferenceNetwork
) -> tuple[Params, Key]:
    """The parameters before the first step, and the key of the training that follows."""
    generative_key, inference_key, train_key = jax.random.split(key, 3)
    params = Params(generative.init(generative_key), inference.init(inference_key))
    # A weak type would become strong after one step, and compile everything again.
    strong = jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), params)
    return strong, train_key


def init_state(
    key: Key, generative: GenerativeModel, inference: InferenceNetwork, update: Update
) -> TrainState:
    """The state before the first step."""
    params, train_key = init_params(key, generative, inference)
    return TrainState(jnp.zeros((), jnp.int32), params, update.init(params), train_key)
