"""Pictures of sequences, with time to the right: strips of images, lines of real numbers, rolls of
other vectors. The caller decides what each view shows: x, a mean, a draw."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.section import BLUE, GREY, ORANGE, mosaic

_LINES = 5  # most elements of a real frame that are drawn
_STILLS = 14  # most images in a strip
_BEFORE = 3  # frames in a strip before the first that was not seen


class View(NamedTuple):
    """One way to see a sequence.

    Attributes:
      values: (time, *frame), of which the first is frame `begin`.
      band: (lower end, upper end, label) of a band; for lines only; ends are (time, *frame).
      dots: whether to draw dots in place of lines.
    """

    title: str
    values: np.ndarray
    begin: int = 0
    band: tuple[np.ndarray, np.ndarray, str] | None = None
    dots: bool = False
    colour: str = BLUE


class Views(NamedTuple):
    """All views of one sequence.

    Attributes:
      views: the first is x, or what replaces it.
      gaps: the missing frames, which are marked.
      start: the first frame that was not seen; a line is drawn before it. None for no line.
    """

    views: list[View]
    gaps: Any = ()
    start: int | None = None


Draw = Callable[[list[Views], int | None], Any]


def drawn_as(x: np.ndarray, real: bool) -> Draw:
    """The function that draws x (n, time, *frame): `films`, `lines` or `rolls`."""
    if x.ndim > 3:
        return films
    return lines if real else rolls


def rolls(sequences: list[Views], colours: int | None = None) -> Any:
    """A figure with a row for each sequence and a column for each view. Elements go upwards; a
    value of 1 is dark, or one of `colours` categories has its colour."""
    first = np.concatenate([_flat(one.views[0].values) for one in sequences])
    used = np.arange(first.shape[1])
    ever = np.flatnonzero((np.nan_to_num(first) > 0).any(axis=0))
    if not colours and len(ever):
        used = np.arange(ever[0], ever[-1] + 1)
    style: dict[str, Any] = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
    if colours:
        style = {"cmap": "tab20", "vmin": 0, "vmax": max(colours - 1, 1)}
    n, columns = len(sequences), len(sequences[0].views)
    size = max(12, 4 * columns), 0.6 + (1.9 if len(used) > 1 else 0.7) * n
    figure, axes = plt.subplots(n, columns, figsize=size, squeeze=False)
    for row, one in zip(axes, sequences, strict=True):
        for axis, view in zip(row, one.views, strict=True):
            rows = _flat(view.values)[:, used].T
            left = view.begin - 0.5
            extent = (left, left + rows.shape[1], used[0] - 0.5, used[-1] + 0.5)
            common = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
            rows = np.ma.masked_less(rows, 0) if colours else rows
            axis.imshow(rows, extent=extent, **common, **style)
            _mark(axis, one, "black" if colours else ORANGE)
            if len(used) == 1:
                axis.set_yticks([])
        row[0].set_ylabel("element of $x_t$" if len(used) > 1 else "$x_t$", fontsize=8)
    for top, bottom, view in zip(axes[0], axes[-1], sequences[0].views, strict=True):
        top.set_title(view.title, fontsize=10)
        bottom.set_xlabel("frame t")
    figure.tight_layout()
    return figure


def lines(sequences: list[Views], colours: int | None = None) -> Any:
    """A figure with a row for each element and a column for each sequence."""
    del colours
    n, size = len(sequences), _flat(sequences[0].views[0].values).shape[1]
    rows = min(size, _LINES)
    shape = max(4 * n, 7), 0.8 + 1.6 * rows
    figure, axes = plt.subplots(rows, n, figsize=shape, squeeze=False, sharex="col", sharey="row")
    for column, one in zip(axes.T, sequences, strict=True):
        for j, axis in enumerate(column):
            for view in one.views:
                _line(axis, view, j)
            _mark(axis, one, "black")
            axis.grid(alpha=0.3)
        column[-1].set_xlabel("frame t")
    for j, axis in enumerate(axes[:, 0]):
        axis.set_ylabel(f"$x_{{t,{j + 1}}}$" if size > 1 else "$x_t$")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_figheight()))
    figure.legend(handles, labels, loc="upper center", ncol=5, fontsize=9, frameon=False)
    if size > rows:
        figure.supylabel(f"the first {rows} of {size} elements", fontsize=8)
    return figure


def _line(axis: Any, view: View, element: int) -> None:
    times = view.begin + np.arange(len(view.values))
    if view.band is not None:
        low, high, what = view.band
        ends = (_flat(end)[:, element] for end in (low, high))
        axis.fill_between(times, *ends, color=view.colour, alpha=0.2, lw=0, label=what)
    values = _flat(view.values)[:, element]
    if view.dots:  # above the lines, which would hide them
        axis.plot(times, values, ".", ms=4, color=GREY, zorder=3, label=view.title)
    else:
        axis.plot(times, values, color=view.colour, lw=1, label=view.title)


def films(sequences: list[Views], colours: int | None = None) -> Any:
    """A figure with strips of images, at equal distances in time: one for each view of a
    sequence."""
    del colours
    x = [one.views[0].values for one in sequences]
    low, high = (f([f(v, initial=end) for v in x]) for f, end in ((np.nanmin, 0), (np.nanmax, 1)))
    tall = [0.4 + 0.75 * len(one.views) for one in sequences]
    figure, axes = plt.subplots(
        len(x), 1, figsize=(11, sum(tall)), squeeze=False, height_ratios=tall
    )
    for axis, one in zip(axes[:, 0], sequences, strict=True):
        _film(axis, one, low, high)
    axes[-1, 0].set_xlabel("frame t", fontsize=8)
    figure.tight_layout()
    return figure


def _film(axis: Any, one: Views, low: float, high: float) -> None:
    height, width = one.views[0].values.shape[1:3]
    gap = max(1, height // 14)
    begin = 0 if one.start is None else max(0, one.start - _BEFORE)
    end = max(view.begin + len(view.values) for view in one.views)
    shown = np.arange(begin, end, -(-(end - begin) // _STILLS))
    colour = one.views[0].values.shape[3:] == (3,)
    lefts = np.arange(len(shown)) * (width + gap) - 0.5
    stills = []
    for row, view in enumerate(one.views):
        for left, t in zip(lefts, shown, strict=True):
            index = t - view.begin
            exists = 0 <= index < len(view.values)
            unit = (view.values[index] - low) / (high - low) if exists else None
            paper = np.ones((height, width, *view.values.shape[3:]))
            stills.append(paper if unit is None else unit if colour else 1.0 - unit)
            if exists:
                style: dict[str, Any] = {"ec": "0.85", "lw": 0.5}
                style = {"ec": ORANGE, "lw": 2} if t in one.gaps else style
                corner = left, row * (height + gap) - 0.5
                style |= {"fill": False, "clip_on": False}
                axis.add_patch(plt.Rectangle(corner, width, height, **style))
    canvas = mosaic(np.stack(stills), len(shown))
    axis.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    if one.start is not None:
        place = np.sum(shown < one.start) * (width + gap) - gap / 2 - 0.5
        axis.axvline(place, color=ORANGE, lw=1.5)
    middles = np.arange(len(one.views)) * (height + gap) + height / 2
    axis.set_yticks(middles, [view.title for view in one.views], fontsize=8)
    axis.set_xticks(lefts + width / 2, [f"{t}" for t in shown], fontsize=7)
    axis.tick_params(length=0)
    axis.set_frame_on(False)


def _flat(values: np.ndarray) -> np.ndarray:
    """(time, elements)."""
    return values.reshape(len(values), -1)


def _mark(axis: Any, one: Views, line: str) -> None:
    for t in one.gaps:
        axis.axvspan(t - 0.5, t + 0.5, color=ORANGE, alpha=0.3, lw=0)
    if one.start is not None:
        axis.axvline(one.start - 0.5, color=line, lw=1.2)
