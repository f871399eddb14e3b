"""Draws of whole sequences, and of continuations of sequences, perhaps under chosen actions."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Bool

from vaejax.evaluation.continuation import continued, first_frames
from vaejax.evaluation.run import Run, moves_in_steps
from vaejax.evaluation.samples import model_samples
from vaejax.sharding import map_examples
from vaejax.types import Conditions, Example, Key

PARTICLES, DRAWS = 1000, 16  # particles of the filter, and draws that are kept of each
_BATCH = 4


def whole_sequences(
    key: Key, run: Run, exists: Bool[np.ndarray, "count time"], actions: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Draw sequences: `samples` x ~ p(x), with 0 at frames that do not exist; their `means` E[x |
    z], if known; their `lengths`; and the `actions` (count, time, action), if any."""
    conditions: Any = exists, () if actions is None else actions
    given = Conditions(*conditions)
    _, means, samples = model_samples(key, run.generative, run.params, len(exists), given)

    def cut(x):
        return np.where(exists.reshape(*exists.shape, *(1,) * (x.ndim - 2)), x, x.dtype.type(0))

    found = {"samples": cut(samples)} | ({} if means is None else {"means": cut(means)})
    found["lengths"] = exists.sum(axis=1)
    return found | ({} if actions is None else {"actions": actions})


def continued_sequences(
    key: Key,
    run: Run,
    examples: Example,
    seen: np.ndarray,
    steps: int,
    actions: np.ndarray | None,
) -> np.ndarray:
    """Draw the frames that follow the first `seen` (n,) frames of each sequence: (n, 16, steps,
    *frame), by a filter of 1,000 particles. q(z | frames seen) moves them if it is a Markov chain,
    else the model.

    Args:
      actions: (n, steps, action) of the frames that follow; by default those of the examples.
    """
    given: Any = examples.given
    n, time = given.exists.shape
    room = time + steps
    exists: Any = np.arange(room) < (seen + steps)[:, None]
    along: Any = ()
    if not isinstance(given.actions, tuple):
        along = np.zeros((n, room, given.actions.shape[-1]), np.float32)
        along[:, :time] = given.actions
        if actions is not None:
            for row, start, own in zip(along, seen, actions, strict=True):
                row[start : start + steps] = own
    use_q = moves_in_steps(run)

    def one(shared, index, inputs):
        key, params = shared
        example, conditions, count = inputs
        _, _, x = continued(
            jax.random.fold_in(key, index),
            run,
            params,
            first_frames(example, count, time),
            conditions,
            num_steps=steps,
            num_particles=PARTICLES,
            use_q=use_q,
        )
        return jax.tree.map(lambda leaf: leaf[:DRAWS], x)

    inputs = examples, Conditions(exists, along), seen
    return map_examples(one, (key, run.params), inputs, _BATCH)
