"""Continuation of a sequence: draws of the frames that follow its first ones."""

from typing import Any

import jax
import jax.numpy as jnp

from vaejax.distributions import StateSpace, state_space_of
from vaejax.evaluation.run import Run, is_state_space, moves_in_steps
from vaejax.generative import forecast
from vaejax.types import Conditions, Example, Key, Latent, Observation, Params, bind


def continued(
    key: Key,
    run: Run,
    params: Params,
    seen: Example,
    given: Conditions,
    *,
    num_steps: int,
    num_particles: int,
    use_q: bool,
) -> tuple[StateSpace, Latent, Observation]:
    """Draw the `num_steps` steps that follow the frames of `seen`; returns (the model, z, x).

    Args:
      params: the parameters of the run, perhaps traced.
      seen: the frames that q sees; frames that do not exist are ignored.
      given: the conditions of the seen and the following frames, with the actions of both.
      use_q: whether the steps of q move the particles of the filter, or those of the model.
    """
    found = state_space_of(run.generative.joint(params.generative, given))
    assert found is not None
    model, *_ = found
    q = bind(run.generative, run.inference, params, seen)[1] if use_q else None
    length = seen.given.length  # type: ignore[attr-defined]
    z, x = forecast(
        key, model, seen.x, q, num_steps=num_steps, num_particles=num_particles, length=length
    )
    return model, z, x


def first_frames(example: Example, count: Any, room: int) -> Example:
    """Cut an example to its first `count` frames (perhaps a traced number), padded with zeros to
    `room` frames."""
    given: Any = example.given
    kept = jnp.arange(room) < count

    def cut(leaf):
        leaf = jnp.asarray(leaf)[:room]
        return jnp.where(kept.reshape(-1, *(1,) * (leaf.ndim - 1)), leaf, jnp.zeros_like(leaf))

    x = jax.tree.map(cut, example.x)
    return Example(x, Conditions(given.exists[:room] & kept, jax.tree.map(cut, given.actions)))


def why_no_continuation(run: Run, use_q: bool) -> str | None:
    """Why the model of a run cannot continue a sequence; None if it can."""
    if not run.data.is_sequence or not is_state_space(run):
        return (
            "its model is not a state-space model of sequences, so it cannot continue one; models "
            "of dkf_lds and dkf_pendulum can"
        )
    if use_q and not moves_in_steps(run):
        return (
            "its q(z | x) is not a Markov chain, so it cannot move particles: give proposal prior"
        )
    return None
