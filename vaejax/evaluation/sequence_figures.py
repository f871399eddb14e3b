"""Figures of an evaluation of sequences, drawn from its arrays."""

from typing import Any

import numpy as np

from vaejax.evaluation.section import Figure
from vaejax.evaluation.sequence_views import View, Views, drawn_as, lines
from vaejax.types import missing_frames


def sequence_figures(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[Figure]:
    """Every figure that the arrays allow."""
    split, colours = about["settings"]["split"], about["protocol"].get("categories")
    draw = drawn_as(arrays["originals"], about["support"] == "real")
    figures = []
    if "reconstructions" in arrays:
        seen = _seen(arrays, split, bool(colours), draw is lines)
        of_seen = _seen_caption(seen, split, bool(colours))
        figures.append(Figure("reconstructions", lambda: (draw(seen, colours), of_seen)))
    if "samples" in arrays:
        lengths, means = arrays["exists"].sum(axis=1), arrays.get("sample_means")
        drawn = sample_views(arrays["samples"], means, lengths)
        of_drawn = (
            "Samples of the model, each with the length (and the actions, if there are any) of one "
            f"of the {split} sequences above."
        )
        figures.append(Figure("samples", lambda: (draw(drawn, colours), of_drawn)))
    return figures


def sample_views(samples: np.ndarray, means: np.ndarray | None, lengths: np.ndarray) -> list[Views]:
    """Samples x and, if the model has them, their means E[x | z]."""
    found = []
    for i, length in enumerate(lengths):
        views = [View("x ~ p(x | z), z ~ p(z)", samples[i, :length], dots=True)]
        if means is not None:
            views.append(View("its mean E[x | z]", means[i, :length]))
        found.append(Views(views))
    return found


def _seen(arrays: dict[str, np.ndarray], split: str, categories: bool, band: bool) -> list[Views]:
    title = "most frequent x ~ p(x | z), z ~ q(z | x)" if categories else "E[x | z], z ~ q(z | x)"
    gone = np.asarray(missing_frames(arrays["originals"], axes=2)) & arrays["exists"]
    found = []
    for i, length in enumerate(arrays["exists"].sum(axis=1)):
        x, mean = (arrays[name][i, :length] for name in ("originals", "reconstructions"))
        ends = None
        if band:
            low, high = (arrays[name][i, :length] for name in ("low", "high"))
            ends = low, high, "5-95 % of draws x ~ p(x | z)"
        views = [View(f"{split} sequence x", x, dots=True), View(title, mean, band=ends)]
        found.append(Views(views, np.flatnonzero(gone[i])))
    return found


def _seen_caption(sequences: list[Views], split: str, categories: bool) -> str:
    what = "their reconstructions: E[x | z], averaged over 32 draws of z given the whole sequence"
    if categories:
        what = "the most frequent values of 32 draws given the whole sequence"
    caption = f"The first {split} sequences, at most 200 frames of each, and {what}."
    if categories:
        caption += " A colour is a category."
    if any(view.band is not None for view in sequences[0].views):
        caption += " The band covers 5 to 95 % of 32 draws x ~ p(x | z), each with its own z."
    if any(len(one.gaps) for one in sequences):
        caption += " Orange: missing frames; the line there is the prediction of the model."
    return caption
