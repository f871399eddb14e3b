"""The examples of each batch. Sequences of similar length go together, for less padding."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vaejax.training.step import epoch_order
from vaejax.types import Key

MOST_BUCKETS = 4  # each needs its own compiled program
RUN = 4  # consecutive steps in one bucket
_LEAST = 2  # least batches in a bucket; with one, the same sequences would always meet
_ENOUGH = 1.05  # fewer buckets are used if they need at most this many times the fewest frames
_CUTS = 100  # most places at which a bucket may end


class Bucket(NamedTuple):
    """`size` batches (or sequences) of similar length, and the number of frames to which they are
    padded; `time` is None if the examples are not sequences."""

    size: int
    time: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """The batches of each epoch; each example is in at most one.

    Examples that do not fill a batch are dropped. They are chosen again in each epoch, all with the
    same probability. The others are sorted by length and divided into at most `MOST_BUCKETS`
    buckets of whole batches; within a bucket they are shuffled. A bucket is padded to the longest
    sequence that can come into it, whatever was dropped, so its shape never changes.

    The examples of a batch depend on the key of a seed and on the epoch. The bucket of a step
    depends on the epoch only, so seeds that are trained together have batches of the same shape.

    Attributes:
      lengths: the length of each example; None if they are not sequences: then there is one bucket.
    """

    num_examples: int
    batch_size: int
    lengths: Int[np.ndarray, " n"] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """The number of whole batches."""
        return self.num_examples // self.batch_size

    @functools.cached_property
    def buckets(self) -> list[Bucket]:
        """The buckets of an epoch, shortest sequences first."""
        if self.lengths is None:
            return [Bucket(self.steps_per_epoch, None)]
        dropped = self.num_examples - self.steps_per_epoch * self.batch_size
        last = np.arange(1, self.steps_per_epoch + 1) * self.batch_size - 1 + dropped
        return buckets_of(np.sort(self.lengths)[last], min(_LEAST, self.steps_per_epoch))

    def schedule(self, epoch: int) -> Int[np.ndarray, " steps"]:
        """The bucket of each step of an epoch: shuffled, in runs of `RUN` steps."""
        runs = [
            np.full(min(RUN, bucket.size - start), index)
            for index, bucket in enumerate(self.buckets)
            for start in range(0, bucket.size, RUN)
        ]
        order = np.random.RandomState(epoch).permutation(len(runs))
        return np.concatenate([runs[i] for i in order])

    def indices(self, keys: Key, epoch: int) -> Int[Array, "seeds steps batch"]:
        """The examples of each step of an epoch, for each seed's key."""
        shape = (len(keys), self.steps_per_epoch, self.batch_size)
        orders = _orders(keys, epoch, self.num_examples)[:, : shape[1] * shape[2]]
        if len(self.buckets) == 1:
            return orders.reshape(shape)
        ends = np.cumsum([bucket.size for bucket in self.buckets]) * self.batch_size
        batches = _by_bucket(orders, self.lengths, ends).reshape(shape)
        # The k-th step of a bucket takes its k-th batch.
        return batches[:, np.argsort(np.argsort(self.schedule(epoch), kind="stable"))]

    def call(self, schedule: Int[np.ndarray, " rest"], most: int) -> tuple[int, int | None]:
        """(number of next steps for one compiled call, at most `most`; frames to which they are
        padded). With several buckets the number is `RUN` or 1, so that each bucket needs two
        compiled programs only."""
        other = np.flatnonzero(schedule != schedule[0])
        count = min(most, int(other[0]) if len(other) else len(schedule))
        if len(self.buckets) > 1:
            count = RUN if count >= RUN else 1
        return count, self.buckets[schedule[0]].time

    def padding(
        self, indices: Int[Array, "seeds steps batch"], time: int | None
    ) -> Float[np.ndarray, "seeds steps"] | None:
        """The share of padding in the frames of each batch; None for examples without lengths."""
        if self.lengths is None or time is None:
            return None
        return 1 - self.lengths[np.asarray(indices)].mean(axis=-1) / time


def buckets_of(times: Int[np.ndarray, " n"], least: int = 1) -> list[Bucket]:
    """Divide items, which need `times` frames each (ascending), into at most `MOST_BUCKETS` buckets
    of at least `least` items, such that the total number of frames is smallest; fewer buckets if
    they need hardly more frames."""
    ends = np.unique(np.linspace(0, len(times), min(len(times), _CUTS) + 1).round().astype(int))
    room = np.concatenate([[0], times[ends[1:] - 1]])
    frames = np.full(len(ends), np.inf)  # the fewest for all items before each end
    frames[0] = 0
    tables, totals = [], []
    for _ in range(min(MOST_BUCKETS, len(ends) - 1)):
        # [j, i]: the last bucket goes from end i to end j.
        sizes = ends[:, None] - ends
        every = np.where(sizes >= least, frames + sizes * room[:, None], np.inf)
        tables.append(every.argmin(axis=1))
        frames = every.min(axis=1)
        totals.append(frames[-1])
    fewest = int(np.argmax(np.array(totals) <= _ENOUGH * min(totals)))
    buckets: list[Bucket] = []
    j = len(ends) - 1
    for table in tables[fewest::-1]:
        i = int(table[j])
        buckets.insert(0, Bucket(int(ends[j] - ends[i]), int(room[j])))
        j = i
    return buckets


def rows_of_similar_length(
    num_examples: int, lengths: Int[np.ndarray, " n"] | None
) -> list[tuple[Int[np.ndarray, " rows"], int | None]]:
    """The rows of all examples in parts of similar length, each with the frames to which it is
    padded."""
    if lengths is None:
        return [(np.arange(num_examples), None)]
    order = np.argsort(lengths, kind="stable")
    buckets = buckets_of(lengths[order])
    starts = np.cumsum([bucket.size for bucket in buckets])[:-1]
    parts = np.split(order, starts)
    return [(rows, bucket.time) for rows, bucket in zip(parts, buckets, strict=True)]


@functools.partial(jax.jit, static_argnums=2)
def _orders(keys, epoch, num_examples):
    return jax.vmap(lambda key: epoch_order(key, epoch, num_examples))(keys)


@jax.jit
def _by_bucket(orders, lengths, ends):
    """The examples of the first bucket, then of the next; within a bucket in the given order."""

    def one(order):
        ranks = jnp.argsort(jnp.argsort(lengths[order], stable=True))
        bucket = jnp.searchsorted(ends, ranks, side="right")
        return order[jnp.argsort(bucket, stable=True)]

    return jax.vmap(one)(orders)
