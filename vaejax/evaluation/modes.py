"""Draws x' given x, and interpolations: uses of a model other than samples from its prior."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.distributions import mean_of
from vaejax.evaluation.pictures import completions
from vaejax.evaluation.run import Run
from vaejax.types import Example, Key, bind, rows_of

STEPS = 9  # points of an interpolation, with both ends


def posterior_predictive(key: Key, run: Run, examples: Example, count: int) -> np.ndarray | None:
    """Draw x' ~ p(x' | z), z ~ q(z | x), `count` times for each of n examples: (n, count, *shape).

    A model without a latent variable completes x instead: x' given the first half of the elements
    of x, in the order of the model; None if it has no such order.
    """
    if run.kind == "no latent variable":
        repeated = jax.tree.map(lambda leaf: np.repeat(leaf, count, axis=0), examples)
        drawn = completions(key, run.generative, run.params, repeated).get("completions")
        return None if drawn is None else drawn.reshape(-1, count, *drawn.shape[1:])

    def draw(params, key, example):
        q_key, x_key = jax.random.split(key)
        joint, q, _ = bind(run.generative, run.inference, params, example)
        return joint.likelihood(q.sample(seed=q_key)).sample(seed=x_key)

    keys = jax.random.split(key, (len(examples.x), count))
    draws = jax.jit(jax.vmap(jax.vmap(draw, (None, 0, None)), (None, 0, 0)))
    return np.asarray(draws(run.params, keys, examples))


def interpolations(key: Key, run: Run, pairs: Example) -> np.ndarray:
    """E[x | z] along the straight line between the codes of n pairs of examples (n, 2, *shape): (n,
    STEPS, *shape). The model needs a latent variable."""

    def one(key, params, pair):
        def bound(index):
            example = rows_of(pair, index)
            joint, q, _ = bind(run.generative, run.inference, params, example)
            return joint, mean_of(key, q)

        (joint, first), (_, last) = bound(0), bound(1)

        def between(w):
            z = jax.tree.map(lambda a, b: (1 - w) * a + w * b, first, last)
            return mean_of(key, joint.likelihood(z))

        return jax.vmap(between)(jnp.linspace(0.0, 1.0, STEPS))

    lines = jax.jit(jax.vmap(one, (None, None, 0)))
    return np.asarray(lines(key, run.params, pairs))
