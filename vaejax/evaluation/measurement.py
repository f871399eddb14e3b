"""A measurement is data: what it asks of a run, block by block, and what it says of the answer."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from vaejax.evaluation.run import Run
from vaejax.evaluation.section import Section
from vaejax.sharding import over_examples
from vaejax.types import Example, num_rows, rows_of

Arrays = dict[str, np.ndarray]
MaySpend = Callable[[int], bool]  # evaluations that come next -> whether they may be made


class Part(NamedTuple):
    """What is measured block after block, and saved after each.

    Attributes:
      name: of its file.
      identity: whatever changes an example's number; part of the file's name.
      total: how many units of work there are.
      blocks: (arrays found or {}, may_spend) -> all arrays so far, again after each block.
      done: arrays -> how many units they hold.
    """

    name: str
    identity: dict[str, Any]
    total: int
    blocks: Callable[[Arrays, MaySpend], Iterator[Arrays]]
    done: Callable[[Arrays], int]


class Measurement(NamedTuple):
    """One thing that can be measured of a run.

    Attributes:
      name: its command and its files.
      version: part of the identity of what it wrote.
      settings: a frozen dataclass with a default for each field.
      undefined: (run, settings) -> why it cannot be asked of this run, or None. It may raise a
        SettingError: a setting that this run cannot take.
      parts: (run, settings) -> what is measured.
      summarize: (run, settings, arrays by part) -> the summary, for JSON.
      section: (about, arrays by part) -> what is printed. `about` is what the JSON file holds.
      at_top: whether its files stand at the top of the run's folder, the last ones alone.
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
    """`Part.blocks` of one(shared, index, example) -> arrays of one example."""
    count = num_rows(examples)
    size = max(1, min(block, count))
    run = over_examples(one, size)

    def blocks(found: Arrays, may_spend: MaySpend) -> Iterator[Arrays]:
        begin = rows_in(found)
        while begin < count:
            indices = np.arange(begin, min(begin + size, count))
            if not may_spend(cost * len(indices)):
                return
            new = run(shared, indices, rows_of(examples, indices))
            found = {k: np.concatenate([found[k], v]) if found else v for k, v in new.items()}
            begin = int(indices[-1]) + 1
            yield found

    return blocks


def once(compute: Callable[[], Arrays]) -> Callable[[Arrays, MaySpend], Iterator[Arrays]]:
    """`Part.blocks` of what is measured all at once."""

    def blocks(found: Arrays, may_spend: MaySpend) -> Iterator[Arrays]:
        if not found and may_spend(0):
            yield compute()

    return blocks


def rows_in(arrays: Arrays) -> int:
    """How many examples there are in the arrays."""
    return len(next(iter(arrays.values()))) if arrays else 0


def any_in(arrays: Arrays) -> int:
    """1 where there are arrays: `Part.done` of what is measured all at once."""
    return int(bool(arrays))
