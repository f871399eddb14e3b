"""Draws from a model: z ~ p(z), x ~ p(x | z)."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from vaejax.distributions import draws_together, has_latent, mean_of, structure_of
from vaejax.types import GenerativeModel, Given, Joint, Key, Latent, Observation, Params, rows_of


class Samples(NamedTuple):
    """Draws along the first axis: z ~ p(z), means E[x | z], x ~ p(x | z). Without a latent
    variable, z is () and the means, which would all be equal, are None."""

    z: Latent
    means: np.ndarray | None
    x: Observation


def model_samples(
    key: Key, generative: GenerativeModel, params: Params, count: int, given: Given = ()
) -> Samples:
    """Draw `count` times. `given` has the conditions of each draw along the first axis, or is
    ()."""
    joint = first_joint(generative, params, given)
    latent = has_latent(joint.prior)
    draws = _draws(generative, latent, draws_at_once(joint))
    drawn = draws(params.generative, jax.random.split(key, count), given)
    drawn = jax.tree.map(np.asarray, drawn)
    return drawn if latent else drawn._replace(means=None)


@functools.lru_cache(maxsize=16)
def _draws(generative: GenerativeModel, latent: bool, at_once: int) -> Callable[..., Samples]:
    """A function (theta, keys, given) -> draws, compiled once for a model."""

    def one(theta, pair):
        key, given = pair
        joint = generative.joint(theta, given)
        prior_key, likelihood_key = jax.random.split(key)
        z = joint.prior.sample(seed=prior_key)
        likelihood = joint.likelihood(z)
        mean_key = jax.random.fold_in(key, 2)  # `split` may give the keys of fold_in 0 and 1
        mean = mean_of(mean_key, likelihood) if latent else ()
        return Samples(z, mean, likelihood.sample(seed=likelihood_key))

    @jax.jit
    def draws(theta, keys, given):
        return jax.lax.map(lambda pair: one(theta, pair), (keys, given), batch_size=at_once)

    return draws


def first_joint(generative: GenerativeModel, params: Params, given: Given) -> Joint:
    """p(x, z) under the first condition, for facts that do not depend on it."""
    return generative.joint(params.generative, rows_of(given, 0))


def draws_at_once(joint: Joint) -> int:
    """The number of draws that memory allows at a time."""
    z = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), structure_of(joint.prior))
    return draws_together(joint.likelihood(z))
