"""All that training carries from one step to the next."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from vaejax.types import ExplicitModel, GenerativeModel, InferenceNetwork, Key, Params


class TrainState(NamedTuple):
    """`key` is split in three: epoch e's order is fold_in(the first, e), step t's noise
    fold_in(the second, t), the third is the validation's. So the state and the data determine
    everything that follows. `encoder_optimizer` is the state of the encoder-only updates, where
    there are any."""

    step: Int[Array, ""]
    params: Params
    optimizer: Any
    key: Key
    encoder_optimizer: Any = None


def init_state(
    key: Key,
    generative: GenerativeModel | ExplicitModel,
    inference: InferenceNetwork | None,
    optimizer: optax.GradientTransformation,
    encoder_optimizer: optax.GradientTransformation | None = None,
) -> TrainState:
    """The state before the first step; an explicit model, without a q, has () for phi."""
    generative_key, inference_key, train_key = jax.random.split(key, 3)
    phi = () if inference is None else inference.init(inference_key)
    params = Params(generative.init(generative_key), phi)
    # A weak type would become strong after one step, and compile everything again.
    params = jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), params)
    state = TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), train_key)
    if encoder_optimizer is None:
        return state
    return state._replace(encoder_optimizer=encoder_optimizer.init(params.inference))
