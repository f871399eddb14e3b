"""The one place where devices are decided: a batch is divided over them, the rest is copied."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def batch_sharding(batch_size: int) -> NamedSharding:
    """Divide the batch axis over as many devices as divide it evenly."""
    devices = jax.devices()
    used = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    return NamedSharding(Mesh(np.array(devices[:used]), ("batch",)), PartitionSpec("batch"))


def replicated(sharding: NamedSharding) -> NamedSharding:
    """A whole copy on each of the same devices."""
    return NamedSharding(sharding.mesh, PartitionSpec())


def over_examples(
    function: Callable[[Any, Any, Any], Any], batch_size: int
) -> Callable[[Any, np.ndarray, Any], Any]:
    """function(shared, index, x) of one example -> the same of at most `batch_size` examples,
    compiled once, divided over the devices, at the highest matmul precision.

    What it returns takes `shared` (parameters; copied to each device), the examples' indices and
    observations along the first axis, and gives numpy arrays.
    """
    sharding = batch_sharding(batch_size)

    @jax.jit
    def batch(shared, indices, xs):
        indices, xs = jax.lax.with_sharding_constraint((indices, xs), sharding)
        return jax.vmap(function, (None, 0, 0))(shared, indices, xs)

    def run(shared, indices, xs):
        count = len(indices)
        rows = np.minimum(np.arange(batch_size), count - 1)  # padded with the last
        shared = jax.device_put(shared, replicated(sharding))
        with jax.default_matmul_precision("highest"):
            result = batch(shared, indices[rows], jax.tree.map(lambda x: x[rows], xs))
        return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], result)

    return run


def map_examples(
    function: Callable[[Any, Any, Any], Any],
    shared: Any,
    xs: Any,
    batch_size: int | None = None,
    first_index: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> Any:
    """`over_examples` of all examples, batch by batch; indices count from `first_index`."""
    n = len(jax.tree.leaves(xs)[0])
    if n == 0:
        raise ValueError("expected at least one example; got none")
    size = max(1, min(batch_size or 100, n))
    return in_batches(over_examples(function, size), shared, xs, size, first_index, progress)


def in_batches(
    run: Callable[[Any, np.ndarray, Any], Any],
    shared: Any,
    xs: Any,
    size: int,
    first_index: int,
    progress: Callable[[int], None],
) -> Any:
    """`run` (of `over_examples`) of all examples, `size` at a time."""
    n = len(jax.tree.leaves(xs)[0])
    parts = []
    for start in range(0, n, size):
        rows = np.arange(start, min(start + size, n))
        part = jax.tree.map(lambda x, rows=rows: x[rows], xs)
        parts.append(run(shared, first_index + rows, part))
        progress(len(rows))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
