"""What follows the first frames of an example, under a run's model."""

from typing import Any

import jax
import jax.numpy as jnp

from vaejax.distributions import Markov, StateSpace, state_space_of
from vaejax.evaluation.run import Run
from vaejax.generative import forecast
from vaejax.types import (
    Conditions,
    Example,
    GenerativeModel,
    InferenceNetwork,
    Key,
    Latent,
    Observation,
    Params,
    bind,
)


def continued(
    key: Key,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    params: Params,
    seen: Example,
    given: Conditions,
    *,
    num_steps: int,
    num_particles: int,
    use_q: bool,
) -> tuple[StateSpace, Latent, Observation]:
    """(the model, z, x): draws of the `num_steps` steps that follow the frames of `seen`.

    Args:
      seen: the only frames that q is made of; what does not exist in it is not looked at.
      given: with room for what is seen and what follows, the actions of both.
      use_q: whether q's steps move the filter's particles, or the model's own.
    """
    found = state_space_of(generative.joint(params.generative, given))
    assert found is not None
    model, *_ = found
    q = bind(generative, inference, params, seen)[1] if use_q else None
    length = seen.given.length  # type: ignore[attr-defined]
    z, x = forecast(
        key, model, seen.x, q, num_steps=num_steps, num_particles=num_particles, length=length
    )
    return model, z, x


def first_frames(example: Example, count: Any, room: int) -> Example:
    """An example cut to its first `count` frames (traced or not), in `room` frames: of what is
    behind them nothing is left."""
    given: Any = example.given
    kept = jnp.arange(room) < count

    def cut(leaf):
        leaf = jnp.asarray(leaf)[:room]
        return jnp.where(kept.reshape(-1, *(1,) * (leaf.ndim - 1)), leaf, jnp.zeros_like(leaf))

    x = jax.tree.map(cut, example.x)
    return Example(x, Conditions(given.exists[:room] & kept, jax.tree.map(cut, given.actions)))


def why_no_continuation(run: Run, use_q: bool) -> str | None:
    """Why a run's model cannot continue a sequence, or None."""
    example = run.data.example()
    if not run.data.is_sequence or state_space_of(run.joint(example.given)) is None:
        return (
            "its model is no state-space model of sequences, so nothing follows an example: "
            "dkf_lds and dkf_pendulum have one"
        )
    if use_q and not isinstance(run.posterior(*example), Markov):
        return "its q(z | x) is no Markov chain, which could propose: give proposal prior"
    return None
