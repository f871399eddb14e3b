"""What a trained model does beyond samples from its prior: pictures of each mode of generation."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vaejax.evaluation.generators import Model
from vaejax.types import ExplicitModel, Key

STEPS = 9  # along an interpolation, both ends among them


def posterior_predictive(key: Key, model: Model, xs: np.ndarray, count: int) -> np.ndarray:
    """(n, count, *shape): x' ~ p(x' | z), z ~ q(z | x), for each of n x.

    A model without z completes x instead: x' given the first half of x's elements in its order.
    """
    if isinstance(model.generative, ExplicitModel):
        density = model.generative.density(model.params.generative)
        known = int(np.prod(density.event_shape)) // 2

        def draw(key, x):
            return density.complete(key, x, known)
    else:

        def draw(key, x):
            q_key, x_key = jax.random.split(key)
            joint = model.generative.joint(model.params.generative)
            q = model.inference.posterior(model.params.inference, x, joint.prior)
            return joint.likelihood(q.sample(seed=q_key)).sample(seed=x_key)

    keys = jax.random.split(key, (len(xs), count))
    draws = jax.jit(jax.vmap(jax.vmap(draw, (0, None)), (0, 0)))
    return np.asarray(draws(keys, jnp.asarray(xs, jnp.float32)))


def interpolations(model: Model, pairs: np.ndarray) -> np.ndarray:
    """(n, STEPS, *shape): E[x | z] along the straight line between the codes of each of n pairs
    (n, 2, *shape). Of a model with a z."""

    def one(pair: Array) -> Array:
        joint = model.generative.joint(model.params.generative)
        first, last = (
            model.inference.posterior(model.params.inference, x, joint.prior).mean() for x in pair
        )
        weights = jnp.linspace(0.0, 1.0, STEPS)
        return jax.vmap(lambda w: joint.likelihood((1 - w) * first + w * last).mean())(weights)

    return np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(pairs, jnp.float32)))
