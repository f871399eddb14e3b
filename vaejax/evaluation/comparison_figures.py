"""Figures of models side by side."""

from itertools import cycle
from typing import Any, NamedTuple

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.section import BLUE, ORANGE


class Bar(NamedTuple):
    """A row of `log_p_figure`: `found`, of log p(x), is as `ratio_over_seeds` gives it."""

    label: str
    found: dict[str, Any]
    exact: bool


def log_p_figure(bars: list[Bar], unit: str, estimated: str) -> Any:
    """-log p(x), a row each from the top: a circle with the error over examples, below it a square
    with that over seeds. `estimated` says what those are that are not exact."""
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.32 * len(bars)))
    for place, bar in enumerate(bars):
        for name, marker, below in (("data", "o", -0.13), ("seeds", "s", 0.13)):
            error = bar.found[f"std_error_{name}"]
            if error is not None or name == "data":  # of one example: a circle alone
                axes.errorbar(
                    -bar.found["mean"],
                    place + below,
                    xerr=error,
                    fmt=marker,
                    color=BLUE if bar.exact else ORANGE,
                    mfc="white",
                    ms=5,
                    capsize=3,
                )
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars], fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(
        f"-log p(x), {unit}; circles: standard error over examples; squares: over seeds\n"
        f"blue: exact; orange: {estimated}",
        fontsize=8,
    )
    return figure


class Lines(NamedTuple):
    """A panel of `along_figure`: of each model, by its label, values and their errors, (steps,)."""

    heading: str
    models: dict[str, tuple[np.ndarray, np.ndarray]]
    target: float | None = None


def along_figure(panels: list[Lines]) -> Any:
    """Panels below each other, against steps ahead: a line a model with a band of one error, and a
    black line at what is aimed at. A later line is broken: it shows an earlier one below it."""
    figure, grid = plt.subplots(
        len(panels), 1, figsize=(7, 0.5 + 2.4 * len(panels)), sharex=True, squeeze=False
    )
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        if panel.target is not None:
            axes.axhline(panel.target, color="black", lw=0.7)
        styles = cycle(["-", "--", "-.", ":"])
        for (label, (mean, error)), style in zip(panel.models.items(), styles, strict=False):
            steps = np.arange(1, len(mean) + 1)
            (line,) = axes.plot(steps, mean, style, label=label)
            axes.fill_between(
                steps, mean - error, mean + error, color=line.get_color(), alpha=0.2, lw=0
            )
        axes.set_title(panel.heading, fontsize=10, loc="left")
        axes.grid(alpha=0.3)
    grid[-1, 0].set_xlabel("steps ahead")
    grid[-1, 0].xaxis.get_major_locator().set_params(integer=True)
    figure.tight_layout()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return figure
