"""Figures of continued sequences: the frames seen, the true next frames, and draws of them."""

from typing import Any, NamedTuple

import numpy as np

from vaejax.evaluation.section import BLUE, ORANGE
from vaejax.evaluation.sequence_views import View, Views, drawn_as, films, lines

_COLOURS = BLUE, ORANGE
_DRAWS = 3  # shown of each sequence of images


class Way(NamedTuple):
    """Draws of the frames that follow n sequences, k for each.

    Attributes:
      draws: (n, k, steps, *frame).
      mean, low, high: (n, steps, *frame), of these or of more draws; () for categories.
    """

    title: str
    draws: np.ndarray
    mean: Any
    low: Any
    high: Any


def way_of(title: str, draws: np.ndarray) -> Way:
    """A `Way` with the mean and the 5 and 95 % quantiles of these draws (n, k, steps, *frame)."""
    low, high = np.quantile(draws, [0.05, 0.95], axis=1)
    return Way(title, draws, draws.mean(axis=1), low, high)


def continuation_figure(
    x: np.ndarray,
    exists: np.ndarray,
    starts: np.ndarray,
    ways: list[Way],
    real: bool,
    band: str,
    colours: int | None = None,
) -> Any:
    """A figure of n sequences and of ways to continue them.

    Args:
      x, exists: (n, T, *frame) and (n, T), the true sequences.
      starts: (n,), how many frames of each were seen.
      band: the label of the band between the `low` and `high` of a way.
      colours: the number of categories, if x is made of categories.
    """
    draw, sequences = drawn_as(x, real), []
    for i, start in enumerate(starts):
        views = [View("x", x[i, : exists[i].sum()], dots=True)]
        seen = x[i, :start]
        for way, colour in zip(ways, _COLOURS, strict=False):
            if draw is lines:
                ends = (way.low[i], way.high[i], band)
                views.append(View(f"{way.title}, mean", way.mean[i], start, ends, colour=colour))
            elif draw is films:
                joined = [np.concatenate([seen, after]) for after in way.draws[i][:_DRAWS]]
                views += [View(way.title, values) for values in joined]
            else:
                shown = [("a draw", way.draws[i, 0])]
                if not colours:
                    shown = [("probability", way.mean[i]), *shown]
                for what, after in shown:
                    views.append(View(f"{way.title}: {what}", np.concatenate([seen, after])))
        sequences.append(Views(views, start=start))
    return draw(sequences, colours)
