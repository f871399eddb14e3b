"""The objective on the validation split, which chooses the parameters that are kept."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from vaejax.sharding import replicated
from vaejax.training.seeds import over_seeds
from vaejax.training.step import validation_key
from vaejax.training.terms import TermsOf
from vaejax.types import Example, Params

_BATCH = 500


def validation_of(
    terms_of: TermsOf, examples: Example, step: int, sharding: NamedSharding
) -> Callable[[Params, jax.Array], np.ndarray]:
    """(params, keys) -> mean of the objective over the examples, by seed, in float64.

    Example i uses fold_in(the run's validation key, i): the same noise at every validation, on any
    number of devices.
    """
    n = len(jax.tree.leaves(examples)[0])
    devices = len(sharding.device_set)
    size = -(-min(_BATCH, n) // devices) * devices
    rows = np.arange(-(-n // size) * size)
    # The batch that is not full is padded with the first example.
    padded = jax.tree.map(lambda leaf: np.asarray(leaf)[np.where(rows < n, rows, 0)], examples)
    batches = jax.tree.map(
        lambda leaf: leaf.reshape(-1, size, *leaf.shape[1:]), (rows.astype(np.int32), padded)
    )
    batches = jax.device_put(batches, replicated(sharding))

    def values(params, key, batches):
        def batch(_, inputs):
            indices, examples = jax.lax.with_sharding_constraint(inputs, sharding)
            keys = jax.vmap(lambda i: jax.random.fold_in(validation_key(key), i))(indices)
            of_each = jax.vmap(terms_of, (None, 0, 0, None))
            return None, of_each(params, keys, examples, jnp.asarray(step)).value

        return jax.lax.scan(batch, None, batches)[1].reshape(-1)

    compiled = jax.jit(over_seeds(values, (0, 0, None)))

    def validate(params: Params, keys: jax.Array) -> np.ndarray:
        of_each = np.asarray(compiled(params, keys, batches))[:, :n]
        return np.asarray(of_each.mean(axis=1, dtype=np.float64))

    return validate
