"""What a model of sequences is given."""

from typing import Any

import jax.numpy as jnp

from vaejax.types import Conditions


def check_conditions(given: Any, num_actions: int) -> None:
    """Raises ValueError where what a sequence is given is not `Conditions` with such actions."""
    if not isinstance(given, Conditions):
        raise ValueError(
            "a sequence is given Conditions(exists, actions): which of its steps exist, and what "
            f"acts on them; got {type(given).__name__}"
        )
    num_steps = given.exists.shape[-1]
    expected = (num_steps, num_actions) if num_actions else ()
    found = () if isinstance(given.actions, tuple) else jnp.shape(given.actions)
    if found != expected:
        raise ValueError(
            f"expected actions of shape {expected}, one for each of the {num_steps} steps; got "
            f"{found}"
            if num_actions
            else f"this model has no actions; got some of shape {found}: leave them out"
        )
