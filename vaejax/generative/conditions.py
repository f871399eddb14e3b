"""What a model of sequences is given."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.types import Conditions


def check_conditions(given: Any, num_actions: int) -> None:
    """Raises ValueError where what a sequence is given is not `Conditions` with such actions, or
    steps are known to be missing before one that exists."""
    if not isinstance(given, Conditions):
        raise ValueError(
            "a sequence is given Conditions(exists, actions): which of its steps exist, and what "
            f"acts on them; got {type(given).__name__}"
        )
    exists = given.exists
    if not isinstance(exists, np.ndarray | jax.Array) or exists.ndim < 1:
        raise ValueError(
            f"exists must be an array, of each step whether it exists; got {type(exists).__name__}"
        )
    if not isinstance(exists, jax.core.Tracer) and np.any(np.diff(np.asarray(exists, int)) > 0):
        raise ValueError(
            "the steps that exist must be the first ones; got exists with a gap: a frame that was "
            "not seen exists, and is a missing frame (NaN)"
        )
    num_steps = exists.shape[-1]
    expected = (num_steps, num_actions) if num_actions else ()
    found = () if isinstance(given.actions, tuple) else jnp.shape(given.actions)
    if found != expected:
        raise ValueError(
            f"expected actions of shape {expected}, one for each of the {num_steps} steps; got "
            f"{found}"
            if num_actions
            else f"this model has no actions; got some of shape {found}: leave them out"
        )
