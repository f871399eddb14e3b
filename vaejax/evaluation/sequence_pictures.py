"""Arrays for the figures of sequences: x, its reconstructions, and samples."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vaejax.distributions import has_density, has_latent, has_mean
from vaejax.evaluation.run import Run
from vaejax.sharding import map_examples
from vaejax.types import Example, Key, bind, rows_of

_DRAWS = 32  # of z, and one of x given each z
_SEQUENCES = 3  # from the first
_SHOWN = 200  # frames of each sequence, from the first


def sequence_pictures(key: Key, run: Run, examples: Example) -> dict[str, np.ndarray]:
    """Arrays of the first three sequences, cut to their first 200 frames: `originals` (n, T,
    *frame) and `exists` (n, T).

    With a latent variable, `reconstructions`: E[x | z] averaged over 32 draws z ~ q(z | x), or, if
    p(x | z) has no mean (categories), the most frequent value of 32 draws x ~ p(x | z). If frames
    are numbers or vectors, also `low` and `high`: the 5 and 95 % quantiles of such draws. If there
    is a p(x), `samples` x ~ p(x) with the same lengths and actions, and their `sample_means`
    E[x | z]."""
    examples = rows_of(examples, slice(_SEQUENCES))

    def one(shared, index, example):
        key, params = shared
        joint, q, x = bind(run.generative, run.inference, params, example)
        q_key, p_key = jax.random.split(jax.random.fold_in(key, index))
        found = {}
        if has_latent(joint.prior):
            found |= _seen_through_q(q_key, joint, q, x)
        if has_density(q):
            z_key, x_key = jax.random.split(p_key)
            p = joint.likelihood(joint.prior.sample(seed=z_key))
            found["samples"] = p.sample(seed=x_key)
            if has_latent(joint.prior) and has_mean(p):
                found["sample_means"] = p.mean()
        return found

    exists = np.asarray(examples.given.exists)  # type: ignore[attr-defined]
    found: dict[str, Any] = {"originals": examples.x, "exists": exists}
    # One sequence after another, since each has many draws.
    found |= map_examples(one, (key, run.params), examples, 1)
    longest = int(exists.sum(axis=1).max())
    return {name: np.asarray(array)[:, : min(longest, _SHOWN)] for name, array in found.items()}


def _seen_through_q(key: Key, joint: Any, q: Any, x: Array) -> dict[str, Array]:
    """`reconstructions`, `low`, `high` of one x."""

    def draw(key):
        z_key, x_key = jax.random.split(key)
        p = joint.likelihood(q.sample(seed=z_key))
        return p.mean() if has_mean(p) else (), p.sample(seed=x_key)

    means, draws = jax.lax.map(draw, jax.random.split(key, _DRAWS))
    if isinstance(means, tuple):
        return {"reconstructions": _most_frequent(draws)}
    found = {"reconstructions": jnp.mean(means, axis=0)}
    if means.ndim <= 3:  # lines, not images
        found["low"], found["high"] = jnp.quantile(draws, jnp.array([0.05, 0.95]), axis=0)
    return found


def _most_frequent(draws: Array) -> Array:
    """The most frequent whole number along the first axis."""
    counts = jnp.sum(draws[:, None] == draws[None], axis=1)
    return jnp.take_along_axis(draws, jnp.argmax(counts, axis=0)[None], axis=0)[0]
