"""The one place where devices are decided: a batch is divided over them, the rest is copied."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
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


def map_examples(
    function: Callable[[Any, Any, Any], Any],
    shared: Any,
    xs: Any,
    batch_size: int | None = None,
    first_index: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> Any:
    """function(shared, index, x) of every example, compiled once, in batches divided over the
    devices, at the highest matmul precision. Returns numpy arrays, examples along the first axis.

    `shared` (parameters) is copied to each device. Observations stored as integers reach
    `function` as float32; indices count from `first_index`.
    """
    n = len(jax.tree.leaves(xs)[0])
    if n == 0:
        raise ValueError("expected at least one example; got none")
    size = max(1, min(batch_size or 100, n))
    sharding = batch_sharding(size)

    @jax.jit
    def batch(shared, indices, xs):
        indices, xs = jax.lax.with_sharding_constraint((indices, xs), sharding)
        xs = jax.tree.map(
            lambda x: x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32), xs
        )
        return jax.vmap(function, (None, 0, 0))(shared, indices, xs)

    shared = jax.device_put(shared, replicated(sharding))
    parts = []
    with jax.default_matmul_precision("highest"):
        for start in range(0, n, size):
            rows = np.minimum(np.arange(start, start + size), n - 1)  # the last batch is padded
            part = jax.tree.map(lambda x, rows=rows: x[rows], xs)
            result = batch(shared, first_index + rows, part)
            count = min(size, n - start)
            parts.append(jax.tree.map(lambda leaf, count=count: np.asarray(leaf)[:count], result))
            progress(count)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
