"""The type of a measurement: how it computes arrays of a run, block by block, and shows them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from vaejax.evaluation.run import Run
from vaejax.evaluation.section import Section
from vaejax.sharding import over_examples
from vaejax.types import Example, num_rows, rows_of

Arrays = dict[str, np.ndarray]
MaySpend = Callable[[int], bool]  # number of evaluations to come -> whether they are allowed


class Part(NamedTuple):
    """Arrays that are measured block by block, and saved after each block.

    Attributes:
      name: the name of the part and of its file.
      identity: the settings that change an example's number; its hash is in the file's name.
      total: the number of units of work.
      blocks: (saved arrays or {}, may_spend) -> an iterator: all arrays so far, after each block.
      done: arrays -> the number of units that they hold.
    """

    name: str
    identity: dict[str, Any]
    total: int
    blocks: Callable[[Arrays, MaySpend], Iterator[Arrays]]
    done: Callable[[Arrays], int]


class Measurement(NamedTuple):
    """A measurement of a run.

    Attributes:
      name: the name of its files.
      version: the version of its results; part of their identity.
      settings: a frozen dataclass with a default for each field.
      undefined: (run, settings) -> why the run cannot be measured, or None. It may raise a
        SettingError for a setting that this run cannot take.
      parts: (run, settings) -> the parts to measure.
      summarize: (run, settings, arrays by part) -> the summary, for JSON.
      section: (about, arrays by part) -> the section to print. `about` is the content of the JSON
        file.
      at_top: whether its files are at the top of the run's folder, where only the last are kept.
    """

    name: str
    version: int
    settings: type
    undefined: Callable[[Run, Any], str | None]
    parts: Callable[[Run, Any], list[Part]]
    summarize: Callable[[Run, Any, dict[str, Arrays]], dict[str, Any]]
    section: Callable[[dict[str, Any], dict[str, Arrays]], Section]
    at_top: bool = False


def per_example(
    one: Callable[[Any, Any, Example], dict[str, Any]],
    shared: Any,
    examples: Example,
    *,
    block: int,
    cost: int = 0,
) -> Callable[[Arrays, MaySpend], Iterator[Arrays]]:
    """`Part.blocks` from a function of one example: one(shared, index, example) -> its arrays."""
    count = num_rows(examples)
    size = max(1, min(block, count))
    run = over_examples(one, size)
    return in_blocks(lambda rows: run(shared, rows, rows_of(examples, rows)), count, size, cost)


def in_blocks(
    compute: Callable[[np.ndarray], Arrays], count: int, size: int, cost: int = 0
) -> Callable[[Arrays, MaySpend], Iterator[Arrays]]:
    """`Part.blocks` of compute(rows), the arrays of some of `count` examples, `size` at a time."""

    def blocks(found: Arrays, may_spend: MaySpend) -> Iterator[Arrays]:
        for begin in range(rows_in(found), count, size):
            rows = np.arange(begin, min(begin + size, count))
            if not may_spend(cost * len(rows)):
                return
            found = appended(found, compute(rows))
            yield found

    return blocks


def at_once(name: str, identity: dict[str, Any], compute: Callable[[], Arrays]) -> Part:
    """A part whose arrays are computed all at once."""

    def blocks(found: Arrays, may_spend: MaySpend) -> Iterator[Arrays]:
        if not found and may_spend(0):
            yield compute()

    return Part(name, identity, 1, blocks, lambda arrays: int(bool(arrays)))


def appended(found: Arrays, new: Arrays) -> Arrays:
    """The arrays `found`, of which each in `new` is longer by those rows."""
    return found | {k: np.concatenate([found.get(k, v[:0]), v]) for k, v in new.items()}


def rows_in(arrays: Arrays) -> int:
    """The number of examples in the arrays."""
    return len(next(iter(arrays.values()))) if arrays else 0
