"""Figures of an evaluation of sequences, from its arrays: time goes to the right."""

from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from vaejax.evaluation.section import BLUE, GREY, ORANGE, Figure, mosaic
from vaejax.types import missing_frames

_LINES = 5  # elements of a real frame that are drawn
_STILLS = 12  # of a film
_BAND = "5-95 % of draws x ~ p(x | z)"


class _Pair(NamedTuple):
    """Two views of each sequence, drawn together: data or a draw, and the mean behind it.

    Attributes:
      first, second: (n, T, *frame); second None where there is none.
      titles: of both.
      exists, missing: (n, T) bool.
      band: 5 and 95 % of draws, or None.
      colours: how many categories there are, or None.
    """

    first: np.ndarray
    second: np.ndarray | None
    titles: tuple[str, str]
    exists: np.ndarray
    missing: np.ndarray
    band: tuple[np.ndarray, np.ndarray] | None
    colours: int | None

    def views(self, i: int) -> list[tuple[str, np.ndarray]]:
        """(title, values) of those that there are, of one sequence, over its length."""
        both = zip(self.titles, (self.first, self.second), strict=True)
        return [(title, v[i, : self.length(i)]) for title, v in both if v is not None]

    def length(self, i: int) -> int:
        return int(self.exists[i].sum())

    def gaps(self, i: int) -> np.ndarray:
        """Indices of its missing frames."""
        return np.flatnonzero(self.missing[i] & self.exists[i])


def sequence_figures(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[Figure]:
    """Every figure that the arrays allow, drawn as the frames are: films of images, lines of real
    numbers, rolls of binary vectors, coloured rows of categories."""
    split, colours = about["settings"]["split"], about["protocol"].get("categories")
    originals, exists = arrays["originals"], arrays["exists"]
    draw: Callable[[_Pair], Any] = _rolls
    if originals.ndim > 3:
        draw = _films
    elif about["support"] == "real":
        draw = _lines
    figures = []
    if "reconstructions" in arrays:
        titles = f"{split} sequence x", "E[x | z], z ~ q(z | x)"
        if colours:
            titles = titles[0], "most frequent x ~ p(x | z), z ~ q(z | x)"
        missing = np.asarray(missing_frames(originals, axes=2))
        band = (arrays["low"], arrays["high"]) if draw is _lines else None
        seen = _Pair(originals, arrays["reconstructions"], titles, exists, missing, band, colours)
        figures.append(Figure("reconstructions", lambda: (draw(seen), _seen_caption(seen, split))))
    if "samples" in arrays:
        titles = "a sample x ~ p(x | z), z ~ p(z)", "its mean E[x | z]"
        means, none = arrays.get("sample_means"), np.zeros_like(exists)
        drawn = _Pair(arrays["samples"], means, titles, exists, none, None, colours)
        figures.append(Figure("samples", lambda: (draw(drawn), _drawn_caption(split))))
    return figures


def _seen_caption(pair: _Pair, split: str) -> str:
    what = "their mean over 32 draws of z given the whole sequence"
    if pair.colours:
        what = "the most frequent values of 32 draws given the whole sequence"
    caption = f"The first {split} sequences, at most 200 frames of each, and {what}."
    if pair.colours:
        caption += " A colour is a category."
    if pair.band is not None:
        caption += " The band holds 5 to 95 % of 32 draws x ~ p(x | z), each of its own z."
    if any(len(pair.gaps(i)) for i in range(len(pair.first))):
        caption += " Orange: missing frames, where what is shown of z alone is imputed."
    return caption


def _drawn_caption(split: str) -> str:
    return (
        f"Samples of the model, each of the length (and under the actions, where there are any) of "
        f"one of the {split} sequences above."
    )


def _rolls(pair: _Pair) -> Any:
    """Elements upwards, dark where x is 1; or coloured by category."""
    n, columns = len(pair.first), len(pair.views(0))
    used = np.arange(int(np.prod(pair.first.shape[2:])))
    if not pair.colours:
        ever = (np.nan_to_num(pair.first.reshape(-1, len(used))) > 0).any(axis=0)
        used = used[ever.argmax() : len(ever) - ever[::-1].argmax()]
    tall = 1.9 if len(used) > 1 else 0.7
    figure, axes = plt.subplots(n, columns, figsize=(12, 0.6 + tall * n), squeeze=False)
    for i in range(n):
        for axis, (title, values) in zip(axes[i], pair.views(i), strict=True):
            rows = values.reshape(len(values), -1)[:, used].T
            extent = (-0.5, rows.shape[1] - 0.5, used[0] - 0.5, used[-1] + 0.5)
            style: dict[str, Any] = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
            if pair.colours:
                style = {"cmap": "tab20", "vmin": 0, "vmax": max(pair.colours - 1, 1)}
                rows = np.ma.masked_less(rows, 0)
            axis.imshow(
                rows, origin="lower", aspect="auto", interpolation="nearest", extent=extent, **style
            )
            _mark(axis, pair.gaps(i))
            if i == 0:
                axis.set_title(title, fontsize=10)
            if len(used) == 1:
                axis.set_yticks([])
        axes[i, 0].set_ylabel("element of $x_t$" if len(used) > 1 else "$x_t$", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("frame t")
    figure.tight_layout()
    return figure


def _lines(pair: _Pair) -> Any:
    """A row for each element, a column for each sequence: x as dots, the mean as a line."""
    n, size = len(pair.first), int(np.prod(pair.first.shape[2:]))
    rows = min(size, _LINES)
    figure, axes = plt.subplots(
        rows, n, figsize=(4 * n, 0.8 + 1.6 * rows), squeeze=False, sharex="col", sharey="row"
    )
    for i in range(n):
        length = pair.length(i)
        times, views = np.arange(length), pair.views(i)
        for j in range(rows):
            axis = axes[j, i]
            if pair.band is not None:
                low, high = (a[i, :length].reshape(length, -1)[:, j] for a in pair.band)
                axis.fill_between(times, low, high, color=BLUE, alpha=0.2, lw=0, label=_BAND)
            title, values = views[0]
            dots = {"ms": 3, "color": GREY, "label": title}
            axis.plot(times, values.reshape(length, -1)[:, j], ".", **dots)
            for title, values in views[1:]:
                axis.plot(times, values.reshape(length, -1)[:, j], color=BLUE, lw=1, label=title)
            _mark(axis, pair.gaps(i))
            axis.grid(alpha=0.3)
            if i == 0:
                axis.set_ylabel(f"$x_{{t,{j + 1}}}$" if size > 1 else "$x_t$")
        axes[-1, i].set_xlabel("frame t")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_figheight()))
    figure.legend(handles, labels, loc="upper center", ncol=3, fontsize=9, frameon=False)
    if size > rows:
        figure.supylabel(f"the first {rows} of {size} elements", fontsize=8)
    return figure


def _mark(axis: Any, gaps: np.ndarray) -> None:
    for t in gaps:
        axis.axvspan(t - 0.5, t + 0.5, color=ORANGE, alpha=0.3, lw=0)


def _films(pair: _Pair) -> Any:
    """Stills at equal distances, and below them those of the means."""
    n, strips = len(pair.first), len(pair.views(0))
    height, width = pair.first.shape[2:4]
    gap = max(1, height // 14)
    low, high = np.nanmin(pair.first, initial=0), np.nanmax(pair.first, initial=1)
    figure, axes = plt.subplots(n, 1, figsize=(11, n * (0.4 + 0.9 * strips)), squeeze=False)
    for i, axis in enumerate(axes[:, 0]):
        views = pair.views(i)
        shown = np.arange(0, pair.length(i), max(1, -(-pair.length(i) // _STILLS)))
        stills = (np.concatenate([film[shown] for _, film in views]) - low) / (high - low)
        colour = stills.ndim == 4 and stills.shape[-1] == 3
        canvas = mosaic(stills if colour else 1.0 - stills, len(shown))
        axis.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        lefts = np.arange(len(shown)) * (width + gap) - 0.5
        tops = np.arange(strips) * (height + gap) - 0.5
        missing = np.isin(shown, pair.gaps(i))
        for left, gone in zip(lefts, missing, strict=True):
            for top in tops:
                style: dict[str, Any] = (
                    {"ec": ORANGE, "lw": 2} if gone else {"ec": "0.85", "lw": 0.5}
                )
                style |= {"fill": False, "clip_on": False}
                axis.add_patch(plt.Rectangle((left, top), width, height, **style))
        axis.set_yticks([])
        axis.set_xticks(lefts + width / 2, [f"{t}" for t in shown], fontsize=7)
        axis.tick_params(length=0)
        axis.set_frame_on(False)
    places = ("above: ", "below: ") if strips == 2 else ("",)
    titles = [f"{place}{title}" for place, (title, _) in zip(places, pair.views(0), strict=True)]
    axes[0, 0].set_title("; ".join(titles), fontsize=10)
    axes[-1, 0].set_xlabel("frame t", fontsize=8)
    figure.tight_layout()
    return figure
