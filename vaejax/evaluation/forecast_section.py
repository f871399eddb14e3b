"""The output of `vaejax forecast`: scores by steps ahead, calibration, and pictures."""

from typing import Any

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.continuation_figures import Way, continuation_figure
from vaejax.evaluation.section import (
    BLUE,
    GREY,
    ORANGE,
    Figure,
    Section,
    Table,
    cells,
    data_line,
    listed,
)

_ROWS = (1, 2, 3, 5, 10, 20, 50, 100)  # steps ahead that have a row
_COLOURS = (BLUE, ORANGE, GREY)
SCORES = {  # name: heading, sign; the first of each is the model's
    "error": ("squared error: forecast", 1),
    "error_last": ("last frame", 1),
    "error_mean": ("training mean", 1),
    "log_p": ("-log p(x_t): forecast", -1),
    "log_p_last": ("last frame", -1),
    "log_p_mean": ("training mean", -1),
}
INSIDE = {
    "inside": "values of x_t",
    "inside_lit": "how many are 1",
    "inside_across": "centre, across",
    "inside_down": "centre, down",
    "inside_set": "sets of categories",
}


def forecast_section(about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> Section:
    """The section: tables by steps ahead, notes, and figures."""
    summary, settings = about["summary"], about["settings"]
    mover = "q(z | frames seen)" if settings["proposal"] == "posterior" else "the model's own steps"
    protocol = (
        f"{data_line(about)}; {summary['n']:,} {settings['split']} sequences, {summary['start']} "
        f"frames seen, {summary['steps']} forecast; {settings['num_particles']:,} particles, moved "
        f"by {mover}, give one draw each"
    )
    tables = [_table(about, SCORES), _table(about, INSIDE)]
    if "calibration" in summary:
        tables.append(_calibration(summary["calibration"], _predicted(about)))
    figures = [Figure("forecast_scores", lambda: _scores_figure(about))]
    if "pictures" in arrays:
        figures.append(Figure("forecasts", lambda: _pictures(about, arrays["pictures"])))
    return Section("Forecasts", protocol, tables, _notes(about), figures)


def _notes(about: dict[str, Any]) -> list[str]:
    summary, level = about["summary"], 100 * about["settings"]["level"]
    notes = [
        "+-: standard error over sequences, which are independent (frames and values of one "
        "sequence are not). For a share that is equal in all sequences, one sequence of each kind "
        f"is added. Row `all`: all {summary['frames']:,} frames that were forecast."
    ]
    if "error" in summary["scores"]:
        notes.append(
            "Squared error per value, in squared units of x: of the mean of the draws; of the last "
            "frame seen, repeated; and of the mean over the training split."
        )
    else:
        notes.append(
            "-log p(x_t), in nats per frame: of each frame by itself given the frames seen; p is "
            "averaged over the draws. Last frame: the probability that a value is the same this "
            "many frames later, from the first 200 training sequences. Training mean: the "
            "frequency of each value in the training split."
        )
    if "inside_lit" in summary["scores"]:
        notes.append(
            "The intervals are for features of a frame: how many values are 1, and for images the "
            "centre of these values in pixels. Ties are broken at random, so that features which "
            f"are whole numbers are also inside in {level:g} % of cases, if the model is "
            "calibrated."
        )
    where = f"in the central {level:g} % of the draws"
    if "inside_set" in summary["scores"]:
        where = f"in the set of the most probable categories that holds {level:g} % of the draws"
    notes.append(f"Inside: {where}. A calibrated model has {level:g} %.")
    if summary["too_short"]:
        notes.append(f"left out, since too short to be forecast: {listed(summary['too_short'])}")
    if about["stopped_by"]:
        notes.append(f"stopped by {about['stopped_by']}; run the same command again to resume")
    return notes


def _table(about: dict[str, Any], columns: dict[str, Any]) -> Table:
    summary = about["summary"]
    scores = {name: summary["scores"][name] for name in columns if name in summary["scores"]}
    header = ["steps ahead"]
    for name in scores:
        level = f"{100 * about['settings']['level']:g} %"
        heading = columns[name][0] if name in SCORES else f"inside {level}: {columns[name]}"
        header += [heading, "+-"]
    last = summary["steps"]
    rows = []
    for label in (*sorted({step for step in _ROWS if step < last} | {last}), "all"):
        row = [str(label)]
        for name, score in scores.items():
            entry = score["all"] if label == "all" else score["by_step"][int(label) - 1]
            row += cells(entry, ("data",), _sign(name))
        rows.append(row)
    return Table(header, rows)


def _sign(name: str) -> int:
    return SCORES[name][1] if name in SCORES else 1


def along(entries: list[dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The mean of a score at each step ahead, NaN if no value counts, and its standard error: over
    sequences and, if that is known, over seeds."""
    mean = [np.nan if e["mean"] is None else _sign(name) * e["mean"] for e in entries]
    errors = [(e["std_error_data"] or 0.0, e.get("std_error_seeds") or 0.0) for e in entries]
    return np.array(mean), np.hypot(*np.array(errors).T)


def _predicted(about: dict[str, Any]) -> str:
    categories = about["support"] == "categories"
    return f"predicted probability of {'the most probable category' if categories else 'a 1'}"


def _calibration(bins: list[dict[str, Any]], predicted: str) -> Table:
    rows = []
    for index, found in enumerate(bins):
        frequency = found["frequency"]
        numbers = ["-", "-", "-"]
        if found["count"]:
            numbers = [f"{found['predicted']:.3f}", *cells(frequency, ("data",))]
        low, high = index / len(bins), (index + 1) / len(bins)
        rows.append([f"{low:.1f} to {high:.1f}", *numbers, f"{found['count']:,.0f}"])
    return Table([predicted, "mean", "frequency", "+-", "values"], rows)


def _scores_figure(about: dict[str, Any]) -> tuple[Any, str]:
    """Scores and coverage against steps ahead; for discrete x, frequency against probability."""
    summary, level = about["summary"], about["settings"]["level"]
    calibrated = "calibration" in summary
    figure, axes = plt.subplots(1, 3 if calibrated else 2, figsize=(13 if calibrated else 9, 3.6))
    kinds: list[dict[str, Any]] = [SCORES, INSIDE]
    for axis, columns in zip(axes, kinds, strict=False):
        names = [name for name in columns if name in summary["scores"]]
        for order, (name, colour) in enumerate(zip(names, _COLOURS, strict=False)):
            label = SCORES[name][0] if name in SCORES else INSIDE[name]
            mean, error = along(summary["scores"][name]["by_step"], name)
            steps = np.arange(1, len(mean) + 1)
            # The first line, that of the model, is drawn above the others.
            style = {"color": colour, "zorder": 3 - 0.1 * order}
            axis.plot(steps, mean, label=label, **style)
            axis.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.2, lw=0)
        axis.set_xlabel("steps ahead")
        axis.legend(fontsize=8)
    axes[0].set_ylabel("nats per frame" if calibrated else "squared error per value")
    which = "the most probable" if about["support"] == "categories" else "the central"
    axes[1].set_ylabel(f"share inside {which} {100 * level:g} %")
    axes[1].axhline(level, color="black", lw=0.7)
    axes[1].set_ylim(0, 1.02)
    if calibrated:
        some = [found for found in summary["calibration"] if found["count"]]
        axes[2].plot([0, 1], [0, 1], color="black", lw=0.7)
        axes[2].errorbar(
            [found["predicted"] for found in some],
            [found["frequency"]["mean"] for found in some],
            [found["frequency"]["std_error_data"] or 0.0 for found in some],
            fmt="o-",
            ms=4,
            color=BLUE,
        )
        axes[2].set_xlabel(_predicted(about))
        axes[2].set_ylabel("frequency")
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    return figure, (
        "Scores by steps ahead, with bands of one standard error over sequences. Black: the values "
        "of a calibrated model."
    )


def _pictures(about: dict[str, Any], found: dict[str, np.ndarray]) -> tuple[Any, str]:
    """The first sequences: the frames seen, the true next frames, and the forecasts."""
    views: Any = found
    ways = [Way("forecast", *(views.get(name, ()) for name in Way._fields[1:]))]
    start = about["summary"]["start"]
    starts = np.full(len(found["x"]), start)
    band = f"{100 * about['settings']['level']:g} % of draws"
    real, colours = about["support"] == "real", about["protocol"].get("categories")
    figure = continuation_figure(found["x"], found["exists"], starts, ways, real, band, colours)
    return figure, (
        f"The first {len(starts)} sequences; a line separates the {start} frames that the model "
        "saw from those that it forecast."
    )
