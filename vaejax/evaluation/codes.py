"""Codes of examples: the mean and the standard deviation of q(z | x)."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from vaejax.distributions import mean_and_std, structure_of
from vaejax.sharding import in_batches, over_examples
from vaejax.types import (
    Example,
    GenerativeModel,
    InferenceNetwork,
    Key,
    Latent,
    Params,
    bind,
    num_rows,
    rows_of,
)

_MAX_VALUES = 20_000_000  # numbers that are drawn at a time, where there is no closed form
_DRAWS = 100
_BATCH = 500


class Codes(NamedTuple):
    """Mean and standard deviation of q(z | x), in the structure of z, examples along the first
    axis."""

    mean: Latent
    std: Latent


def encoder(
    generative: GenerativeModel, inference: InferenceNetwork
) -> Callable[[Key, Params, Example], Codes]:
    """A function (key, params, examples) -> the mean and standard deviation of q(z | x) of each
    example, as numpy arrays, computed in blocks of bounded memory. Where there is no closed form,
    they are estimated from draws; example i then uses fold_in(key, i)."""

    def one(shared, index, example):
        key, params = shared
        _, q, _ = bind(generative, inference, params, example)
        return Codes(*mean_and_std(jax.random.fold_in(key, index), q))

    compiled = functools.cache(functools.partial(over_examples, one))

    def encode(key, params, examples):
        _, q, x = bind(generative, inference, params, rows_of(examples, 0))
        sizes = [int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(structure_of(q))]
        block = max(1, _MAX_VALUES // (_DRAWS * sum(sizes) + x.size))
        size = min(_BATCH, block, num_rows(examples))
        return in_batches(compiled(size), (key, params), examples, size)

    return encode
