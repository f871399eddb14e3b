"""Arrays for the figures: reconstructions, samples, completions, and a grid of a two-dimensional
z."""

from typing import Any

import jax
import numpy as np

from vaejax.distributions import (
    can_complete,
    draws_together,
    has_density,
    has_latent,
    mean_of,
    structure_of,
)
from vaejax.evaluation.codes import encoder
from vaejax.evaluation.samples import first_joint, model_samples
from vaejax.sharding import map_examples
from vaejax.types import (
    Example,
    GenerativeModel,
    InferenceNetwork,
    Key,
    Params,
    bind,
    num_rows,
    rows_of,
)

MANIFOLD_SIDE = 20


def completions(
    key: Key, generative: GenerativeModel, params: Params, examples: Example
) -> dict[str, np.ndarray]:
    """For a model without a latent variable whose p(x) has an order (an autoregressive model):
    `completions`, one exact draw of the second half of each x given its first half, which is where
    `completions_known` is True. {} for other models, and for several orders with different first
    halves."""
    joint = first_joint(generative, params, examples.given)
    if has_latent(joint.prior) or not can_complete(joint.likelihood(())):
        return {}
    p: Any = joint.likelihood(())
    half = int(np.prod(p.event_shape)) // 2
    try:
        known = np.asarray(p.first(half))
    except ValueError:
        return {}
    at_once = min(draws_together(p), num_rows(examples.x))

    @jax.jit
    def complete(theta, keys, examples):
        def one(pair):
            key, example = pair
            density: Any = generative.joint(theta, example.given).likelihood(())
            return density.complete(key, example.x, half)

        return jax.lax.map(one, (keys, examples), batch_size=at_once)

    drawn = complete(params.generative, jax.random.split(key, num_rows(examples.x)), examples)
    return {"completions": np.asarray(drawn), "completions_known": known}


def pictures(
    key: Key,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    params: Params,
    examples: Example,
    *,
    count: int = 64,
) -> dict[str, np.ndarray]:
    """Arrays of pictures: `originals`; with a latent variable `reconstructions` (E[x | z], z ~ q);
    if there is a p(x), `samples` and their `sample_means` E[x | z]; those of `completions`; with
    two latent dimensions, `manifold`: E[x | z] on a square grid of z, at normal quantiles from 0.01
    to 0.99, or, for a point mass, between the 1 and 99 % percentiles of the codes."""

    def reconstruct(shared, index, example):
        key, params = shared
        joint, q, _ = bind(generative, inference, params, example)
        key = jax.random.fold_in(key, index)
        return mean_of(jax.random.fold_in(key, 0), joint.likelihood(q.sample(seed=key)))

    every = examples
    examples = rows_of(examples, slice(count))
    joint, q, _ = bind(generative, inference, params, rows_of(examples, 0))
    reconstruct_key, sample_key = jax.random.split(key)
    result: dict[str, Any] = {"originals": examples.x}
    if has_latent(joint.prior):
        result["reconstructions"] = map_examples(reconstruct, (reconstruct_key, params), examples)
    if has_density(q):
        rows = np.arange(count) % num_rows(examples.x)
        given = rows_of(examples.given, rows)
        _, means, result["samples"] = model_samples(sample_key, generative, params, count, given)
        if means is not None:
            result["sample_means"] = means
    result |= completions(reconstruct_key, generative, params, examples)
    if [leaf.shape for leaf in jax.tree.leaves(structure_of(joint.prior))] == [(2,)]:
        codes = None if has_density(q) else encoder(generative, inference)(key, params, every)
        places = _grid(codes and codes.mean)
        mean_key = jax.random.fold_in(key, 2)
        given = rows_of(examples.given, 0)

        def decode(key, theta, given, z):
            return mean_of(key, generative.joint(theta, given).likelihood(z))

        of_all = jax.jit(jax.vmap(decode, (None, None, None, 0)))
        result["manifold"] = np.asarray(of_all(mean_key, params.generative, given, places))
    return result


def _grid(codes: np.ndarray | None) -> np.ndarray:
    """A grid of a two-dimensional z: at normal quantiles, or between percentiles of the codes."""
    if codes is None:
        quantiles = np.linspace(0.01, 0.99, MANIFOLD_SIDE)
        axes = [np.asarray(jax.scipy.stats.norm.ppf(quantiles))] * 2
    else:
        low, high = np.percentile(codes, [1, 99], axis=0)
        axes = [np.linspace(low[i], high[i], MANIFOLD_SIDE) for i in range(2)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(np.float32)
