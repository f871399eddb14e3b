"""Which examples make each batch: sequences of like length go together, for less padding."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vaejax.training.step import epoch_order
from vaejax.types import Key

MOST_BUCKETS = 4  # each has a program of its own
RUN = 4  # steps that stay in one bucket
_LEAST = 2  # batches of a bucket: of one alone, the sequences would always meet
_ENOUGH = 1.05  # times the fewest frames: fewer buckets are taken where that does as well
_CUTS = 100  # places where a bucket may end


class Bucket(NamedTuple):
    """Batches (or sequences) of like length, and the frames that each has room for; None where the
    examples are no sequences."""

    size: int
    time: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """The batches of each epoch, each example in at most one.

    What does not fill a batch is dropped, drawn anew each epoch, every example as likely as every
    other. Those kept, sorted by length, fill at most `MOST_BUCKETS` buckets of whole batches;
    within a bucket they are shuffled. A bucket has room for the longest sequence that can come to
    it, whatever was dropped, so that its number of batches and its room never change.

    Which examples are in a batch depends on a seed's key and the epoch, which bucket a step is of
    on the epoch alone: seeds that are trained together have batches of one shape.

    Attributes:
      lengths: of each example; None where they are no sequences, and one bucket holds all.
    """

    num_examples: int
    batch_size: int
    lengths: Int[np.ndarray, " n"] | None = None

    @property
    def steps_per_epoch(self) -> int:
        return self.num_examples // self.batch_size

    @functools.cached_property
    def buckets(self) -> list[Bucket]:
        """With how many batches an epoch has of each, shortest first."""
        if self.lengths is None:
            return [Bucket(self.steps_per_epoch, None)]
        dropped = self.num_examples - self.steps_per_epoch * self.batch_size
        last = np.arange(1, self.steps_per_epoch + 1) * self.batch_size - 1 + dropped
        return buckets_of(np.sort(self.lengths)[last], min(_LEAST, self.steps_per_epoch))

    def schedule(self, epoch: int) -> Int[np.ndarray, " steps"]:
        """The bucket of each step of an epoch: in runs of `RUN` steps, shuffled."""
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
        """How many of the next steps one compiled call makes, at most `most`, and the frames that
        they have room for. Where there are several buckets it makes `RUN` steps or 1: two programs
        a bucket, not one for each number of steps."""
        other = np.flatnonzero(schedule != schedule[0])
        count = min(most, int(other[0]) if len(other) else len(schedule))
        if len(self.buckets) > 1:
            count = RUN if count >= RUN else 1
        return count, self.buckets[schedule[0]].time

    def padding(
        self, indices: Int[Array, "seeds steps batch"], time: int | None
    ) -> Float[np.ndarray, "seeds steps"] | None:
        """The share of each batch's frames that is padding; None of examples without lengths."""
        if self.lengths is None or time is None:
            return None
        return 1 - self.lengths[np.asarray(indices)].mean(axis=-1) / time


def buckets_of(times: Int[np.ndarray, " n"], least: int = 1) -> list[Bucket]:
    """Buckets of what needs room for so many frames each, in ascending order, at least `least` in
    each: those with the fewest frames in all, of at most `MOST_BUCKETS`; or fewer of them with
    nearly as few frames."""
    ends = np.unique(np.linspace(0, len(times), min(len(times), _CUTS) + 1).round().astype(int))
    room = np.concatenate([[0], times[ends[1:] - 1]])
    frames = np.full(len(ends), np.inf)  # the fewest, of what lies before each end
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


def alike(
    num_examples: int, lengths: Int[np.ndarray, " n"] | None
) -> list[tuple[Int[np.ndarray, " rows"], int | None]]:
    """The rows of all examples in parts of like length, each with the frames it has room for."""
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
    """The examples of the first bucket, then those of the next; in a bucket in the given order."""

    def one(order):
        ranks = jnp.argsort(jnp.argsort(lengths[order], stable=True))
        bucket = jnp.searchsorted(ends, ranks, side="right")
        return order[jnp.argsort(bucket, stable=True)]

    return jax.vmap(one)(orders)
