"""The update of the parameters in one step: by default a gradient step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Float

from vaejax.objectives import Terms
from vaejax.types import Example, Key, Params

# (params, key, examples, step) -> (minus the mean objective, Terms of each example)
Loss = Callable[[Params, Key, Example, Any], tuple[Float[Array, ""], Terms]]


class Update(NamedTuple):
    """The rule of a training step.

    Attributes:
      init: params -> the initial state of the update, any pytree.
      step: (key, params, state, examples, draw_batch, step) -> (params, state, Terms of each
        example).
      gradients: the largest number of gradients of a batch in one step.
    """

    init: Callable[[Params], Any]
    step: Callable[..., tuple[Params, Any, Terms]]
    gradients: int = 1


def gradient_update(loss: Loss, optimizer: optax.GradientTransformation) -> Update:
    """One gradient step of the loss with an optax optimizer."""

    def step(key, params, state, examples, draw_batch, step):
        del draw_batch
        gradient, terms = jax.grad(loss, has_aux=True)(params, key, examples, step)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, terms

    return Update(optimizer.init, step)
