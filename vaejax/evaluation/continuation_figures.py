"""What was seen of sequences, what followed, and draws of what might have: time to the right."""

from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from vaejax.evaluation.section import BLUE, GREY, ORANGE, mosaic

_ELEMENTS, _STILLS, _BEFORE = 4, 16, 3  # of a real frame; of a film, and how many of those seen
_COLOURS = BLUE, ORANGE


class Way(NamedTuple):
    """Draws of what follows n sequences, k each.

    Attributes:
      draws: (n, k, steps, *frame).
      mean, low, high: (n, steps, *frame), of these or of more draws.
    """

    title: str
    draws: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def way_of(title: str, draws: np.ndarray) -> Way:
    """With the mean of these draws, and their quantiles of 5 and 95 %."""
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
    """Films of images, lines of real numbers, rolls of other vectors.

    Args:
      x, exists: (n, T, *frame) and (n, T), what is known.
      starts: (n,), how many frames were seen of each.
      band: what lies between the `low` and `high` of a way.
      colours: how many categories there are, where x is made of them.
    """
    if x.ndim > 3:
        return _films(x, exists, starts, ways)
    if real:
        return _lines(x, exists, starts, ways, band)
    return _rolls(x, exists, starts, ways, colours)


def _lines(x, exists, starts, ways, band) -> Any:
    """A row for each element, a column for each sequence."""
    n, elements = len(x), int(np.prod(x.shape[2:]))
    rows = min(elements, _ELEMENTS)
    figure, axes = plt.subplots(
        rows, n, figsize=(max(4 * n, 7), 0.8 + 1.7 * rows), squeeze=False, sharey="row"
    )
    for i in range(n):
        there = np.flatnonzero(exists[i])
        for j in range(rows):
            axis = axes[j, i]
            for way, colour in zip(ways, _COLOURS, strict=False):
                low, high, mean = (
                    values[i].reshape(len(values[i]), -1)[:, j]
                    for values in (way.low, way.high, way.mean)
                )
                times = starts[i] + np.arange(len(mean))
                axis.fill_between(times, low, high, color=colour, alpha=0.2, lw=0, label=band)
                axis.plot(times, mean, color=colour, lw=1, label=f"{way.title}, mean")
            values = x[i].reshape(x.shape[1], -1)[there, j]
            axis.plot(there, values, ".", ms=3, color=GREY, label="x")
            axis.axvline(starts[i] - 0.5, color="black", lw=0.7)
            axis.grid(alpha=0.3)
            if i == 0:
                axis.set_ylabel(f"$x_{{t,{j + 1}}}$" if elements > 1 else "$x_t$")
        axes[-1, i].set_xlabel("frame t")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_figheight()))
    figure.legend(handles, labels, loc="upper center", ncol=5, fontsize=9, frameon=False)
    return figure


def _rolls(x, exists, starts, ways, colours) -> Any:
    """Elements upwards: x, and of each way how often a value is 1, and one draw."""
    used = np.arange(x.shape[2] if x.ndim > 2 else 1)
    if not colours:
        ever = np.flatnonzero((x.reshape(-1, len(used)) > 0).any(axis=0))
        used = np.arange(ever.min(), ever.max() + 1) if len(ever) else used
    style: dict[str, Any] = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
    if colours:
        style = {"cmap": "tab20", "vmin": 0, "vmax": max(colours - 1, 1)}
    columns = 1 + sum(1 if colours else 2 for _ in ways)
    n = len(x)
    figure, axes = plt.subplots(n, columns, figsize=(4.3 * columns, 0.6 + 1.9 * n), squeeze=False)
    for i in range(n):
        views = [("x", x[i, : exists[i].sum()])]
        for way in ways:
            if not colours:
                views.append((f"{way.title}: probability", _joined(x, starts, i, way.mean[i])))
            views.append((f"{way.title}: a draw", _joined(x, starts, i, way.draws[i, 0])))
        for axis, (title, values) in zip(axes[i], views, strict=True):
            flat = values.reshape(len(values), -1)[:, used].T
            extent = (-0.5, flat.shape[1] - 0.5, used[0] - 0.5, used[-1] + 0.5)
            common = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
            axis.imshow(flat, extent=extent, **common, **style)
            axis.axvline(starts[i] - 0.5, color=ORANGE, lw=1)
            if i == 0:
                axis.set_title(title, fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("frame t")
    figure.tight_layout()
    return figure


def _joined(x, starts, i, after) -> np.ndarray:
    return np.concatenate([x[i, : starts[i]], after])


def _films(x, exists, starts, ways) -> Any:
    """Of each sequence a strip of what happened, and one of each draw of what follows."""
    strips = []  # title, film, how many of its frames were seen
    for i, start in enumerate(starts):
        strips.append(("x", x[i, : exists[i].sum()], start))
        for way in ways:
            for draw in way.draws[i][:3]:
                strips.append((way.title, _joined(x, starts, i, draw), start))
    low = min(np.nanmin(film) for _, film, _ in strips)
    high = max(np.nanmax(film) for _, film, _ in strips)
    figure, axes = plt.subplots(len(strips), 1, figsize=(11, 0.8 * len(strips)), squeeze=False)
    for axis, (title, film, start) in zip(axes[:, 0], strips, strict=True):
        begin = max(0, start - _BEFORE)
        length = max(len(f) - max(0, s - _BEFORE) for _, f, s in strips)
        shown = np.arange(begin, len(film), max(1, -(-length // _STILLS)))
        images = film[shown]
        unit = (images - low) / max(high - low, 1e-6) if low < 0 or high > 1 else images
        colour = images.ndim == 4 and images.shape[-1] == 3
        canvas = mosaic(unit if colour else 1.0 - unit, len(shown))
        axis.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        height, width = images.shape[1:3]
        step = width + max(1, height // 14)
        axis.axvline(np.sum(shown < start) * step - 1, color=ORANGE, lw=1.5)
        axis.set_xlim(-0.5, step * -(-length // max(1, -(-length // _STILLS))) - 0.5)
        axis.set_yticks([])
        axis.set_ylabel(title, fontsize=7, rotation=0, ha="right", va="center")
        places = np.arange(len(shown)) * step + width / 2 - 0.5
        axis.set_xticks(places, [str(t) for t in shown] if title == "x" else [])
        axis.tick_params(length=0, labelsize=6, pad=1)
        for spine in axis.spines.values():
            spine.set_visible(False)
    figure.tight_layout(h_pad=0.2)
    return figure
