"""The one place where devices are decided: a batch is divided over them, the rest is copied."""

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
