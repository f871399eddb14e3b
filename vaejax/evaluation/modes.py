"""What a trained model does beyond samples from its prior: pictures of each mode of generation."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vaejax.evaluation.generators import Model
from vaejax.evaluation.pictures import completions, mean_of
from vaejax.types import ExplicitModel, Key, Params

STEPS = 9  # along an interpolation, both ends among them


def posterior_predictive(key: Key, model: Model, xs: np.ndarray, count: int) -> np.ndarray | None:
    """(n, count, *shape): x' ~ p(x' | z), z ~ q(z | x), for each of n x.

    A model without z completes x instead: x' given the first half of x's elements in its order;
    None where it has no such order.
    """
    if isinstance(model.generative, ExplicitModel):
        return _completions(key, model, xs, count)

    def draw(params, key, x):
        q_key, x_key = jax.random.split(key)
        joint = model.generative.joint(params.generative)
        q = model.inference.posterior(params.inference, x, joint.prior)
        return joint.likelihood(q.sample(seed=q_key)).sample(seed=x_key)

    keys = jax.random.split(key, (len(xs), count))
    draws = jax.jit(jax.vmap(jax.vmap(draw, (None, 0, None)), (None, 0, 0)))
    return np.asarray(draws(model.params, keys, jnp.asarray(xs, jnp.float32)))


def _completions(key: Key, model: Model, xs: np.ndarray, count: int) -> np.ndarray | None:
    found = completions(key, model.generative, model.params, np.repeat(xs, count, axis=0))
    if "completions" not in found:
        return None
    return found["completions"].reshape(len(xs), count, *xs.shape[1:])


def interpolations(key: Key, model: Model, pairs: np.ndarray) -> np.ndarray:
    """(n, STEPS, *shape): E[x | z] along the straight line between the codes of each of n pairs
    (n, 2, *shape). Of a model with a z."""

    def one(params: Params, pair: Array) -> Array:
        joint = model.generative.joint(params.generative)
        first, last = (
            mean_of(key, model.inference.posterior(params.inference, x, joint.prior)) for x in pair
        )
        weights = jnp.linspace(0.0, 1.0, STEPS)
        return jax.vmap(lambda w: mean_of(key, joint.likelihood((1 - w) * first + w * last)))(
            weights
        )

    rows = jax.jit(jax.vmap(one, (None, 0)))(model.params, jnp.asarray(pairs, jnp.float32))
    return np.asarray(rows)
