"""The use of devices, decided only here: a batch is divided over them, all else is copied."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def batch_sharding(batch_size: int) -> NamedSharding:
    """Divide the batch axis over the largest number of devices that divides it evenly."""
    devices = jax.devices()
    used = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    return NamedSharding(Mesh(np.array(devices[:used]), ("batch",)), PartitionSpec("batch"))


def replicated(sharding: NamedSharding) -> NamedSharding:
    """A whole copy on each device of `sharding`."""
    return NamedSharding(sharding.mesh, PartitionSpec())


def over_examples(
    function: Callable[[Any, Any, Any], Any], batch_size: int
) -> Callable[[Any, np.ndarray, Any], Any]:
    """Turn function(shared, index, x), for one example, into a function of a batch.

    The result takes `shared` (such as parameters, copied to each device), and the indices and the
    observations of at most `batch_size` examples along the first axis. It returns numpy arrays. It
    is compiled once, divided over the devices, and runs at the highest matmul precision.
    """
    sharding = batch_sharding(batch_size)

    @jax.jit
    def batch(shared, indices, xs):
        indices, xs = jax.lax.with_sharding_constraint((indices, xs), sharding)
        return jax.vmap(function, (None, 0, 0))(shared, indices, xs)

    def run(shared, indices, xs):
        count = len(indices)
        rows = np.minimum(np.arange(batch_size), count - 1)  # padded with the last example
        shared = jax.device_put(shared, replicated(sharding))
        with jax.default_matmul_precision("highest"):
            result = batch(shared, indices[rows], jax.tree.map(lambda x: x[rows], xs))
        return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], result)

    return run


def map_examples(
    function: Callable[[Any, Any, Any], Any], shared: Any, xs: Any, batch_size: int | None = None
) -> Any:
    """function(shared, index, x) of all examples, in batches.

    Raises:
      ValueError: there are no examples.
    """
    n = len(jax.tree.leaves(xs)[0])
    if n == 0:
        raise ValueError("expected at least one example; got none")
    size = max(1, min(batch_size or 100, n))
    return in_batches(over_examples(function, size), shared, xs, size)


def in_batches(
    run: Callable[[Any, np.ndarray, Any], Any],
    shared: Any,
    xs: Any,
    size: int,
    first_index: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> Any:
    """Apply `run`, a result of `over_examples`, to all examples, `size` at a time; indices count
    from `first_index`."""
    n = len(jax.tree.leaves(xs)[0])
    parts = []
    for start in range(0, n, size):
        rows = np.arange(start, min(start + size, n))
        part = jax.tree.map(lambda x, rows=rows: x[rows], xs)
        parts.append(run(shared, first_index + rows, part))
        progress(len(rows))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
