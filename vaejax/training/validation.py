"""The objective on the validation split, by which the kept parameters are chosen."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from vaejax.sharding import replicated
from vaejax.training.batches import rows_of_similar_length
from vaejax.training.seeds import over_seeds
from vaejax.training.step import validation_key
from vaejax.training.terms import TermsOf
from vaejax.types import Example, Params, num_rows

_BATCH = 500


def validation_of(
    terms_of: TermsOf,
    examples: Example,
    step: int,
    sharding: NamedSharding,
    lengths: np.ndarray | None = None,
) -> Callable[[Params, jax.Array], np.ndarray]:
    """A function (params, keys) -> the mean of the objective over the examples for each seed, in
    nats, float64.

    Example i uses fold_in(the run's validation key, i): the noise is the same at every validation,
    on any number of devices. Sequences of similar length (`lengths`) go together.
    """
    parts = rows_of_similar_length(num_rows(examples), lengths)
    batches = [
        jax.device_put(
            _batches(examples, rows, time, len(sharding.device_set)), replicated(sharding)
        )
        for rows, time in parts
    ]

    def values(params, key, batches):
        def batch(_, inputs):
            indices, examples = jax.lax.with_sharding_constraint(inputs, sharding)
            keys = jax.vmap(lambda i: jax.random.fold_in(validation_key(key), i))(indices)
            of_each = jax.vmap(terms_of, (None, 0, 0, None))
            return None, of_each(params, keys, examples, jnp.asarray(step)).value

        return jax.lax.scan(batch, None, batches)[1].reshape(-1)

    compiled = jax.jit(over_seeds(values, (0, 0, None)))

    def validate(params: Params, keys: jax.Array) -> np.ndarray:
        of_each = np.concatenate(
            [
                np.asarray(compiled(params, keys, part))[:, : len(rows)]
                for (rows, _), part in zip(parts, batches, strict=True)
            ],
            axis=1,
        )
        return np.asarray(of_each.mean(axis=1, dtype=np.float64))

    return validate


def _batches(examples: Example, rows: np.ndarray, time: int | None, devices: int):
    """(indices, examples) of these rows, in batches along the first axis, cut to `time` frames. An
    incomplete batch is filled with the first example."""
    n = len(rows)
    size = -(-min(_BATCH, n) // devices) * devices
    filled = np.concatenate([rows, np.full(-n % size, rows[0])]).astype(np.int32)

    def leaf_batches(leaf):
        leaf = np.asarray(leaf)[filled]
        leaf = leaf if time is None else leaf[:, :time]
        return leaf.reshape(-1, size, *leaf.shape[1:])

    return filled.reshape(-1, size), jax.tree.map(leaf_batches, examples)
