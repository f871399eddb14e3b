"""What `vaejax forecast` says: scores by how far ahead, calibration, and pictures."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from vaejax.evaluation.section import (
    BLUE,
    GREY,
    ORANGE,
    Figure,
    Section,
    Table,
    data_line,
    format_error,
    listed,
    mosaic,
)

_ROWS = (1, 2, 3, 5, 10, 20, 50, 100)  # steps ahead that have a row
_LINES, _STILLS = 4, 16  # elements of a real frame that are drawn; stills of a film
_COLOURS = (BLUE, ORANGE, GREY)
_SCORES = {  # name: heading, sign; the first of each is the model's
    "error": ("squared error: forecast", 1),
    "error_last": ("last frame", 1),
    "error_mean": ("training mean", 1),
    "log_p": ("-log p(x_t): forecast", -1),
    "log_p_last": ("last frame", -1),
    "log_p_mean": ("training mean", -1),
}
_INSIDE = {
    "inside": "values of x_t",
    "inside_lit": "how many are 1",
    "inside_across": "centre, across",
    "inside_down": "centre, down",
}


def forecast_section(about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> Section:
    """Tables by steps ahead, what each number is, and figures."""
    summary, settings = about["summary"], about["settings"]
    mover = "q(z | the frames seen)" if settings["proposal"] == "posterior" else "the model itself"
    protocol = (
        f"{data_line(about)}; {summary['n']:,} {settings['split']} sequences, {summary['start']} "
        f"frames seen, {summary['steps']} forecast; {settings['num_particles']:,} particles moved "
        f"by {mover}, as many draws"
    )
    tables = [_table(about, _SCORES), _table(about, _INSIDE)]
    if "calibration" in summary:
        tables.append(_calibration(summary["calibration"]))
    figures = [Figure("forecast_scores", lambda: _scores_figure(about))]
    if "pictures" in arrays:
        figures.append(Figure("forecasts", lambda: _pictures(about, arrays["pictures"])))
    return Section("Forecasts", protocol, tables, _notes(about), figures)


def _notes(about: dict[str, Any]) -> list[str]:
    summary, level = about["summary"], 100 * about["settings"]["level"]
    notes = [
        "+-: standard error over sequences, which are independent. Row `all`: of all frames that "
        f"were forecast, {summary['frames']:,}."
    ]
    if "error" in summary["scores"]:
        notes.append(
            "Squared error: a value, in the units of x squared, of the mean of the draws; of the "
            "last frame seen, repeated; and of the mean over the training split."
        )
    else:
        notes += [
            "-log p(x_t): nats a frame, of each frame by itself given those seen, averaged over "
            "the draws. Last frame: each value stays as often as it did in training, so many "
            "frames later. Training mean: each value is 1 as often as there.",
            "The intervals are of numbers made of a frame's draws: how many values are 1, and of "
            "images the centre of these in pixels. Ties are broken at random: in a calibrated "
            f"model whole numbers too are inside in {level:g} %.",
        ]
    notes.append(
        f"Inside: in the central {level:g} % of the draws. A calibrated model has {level:g} %."
    )
    if summary["too_short"]:
        notes.append(f"too short to be forecast, left out: {listed(summary['too_short'])}")
    if about["stopped_by"]:
        notes.append(f"stopped by {about['stopped_by']}; the same command resumes")
    return notes


def _table(about: dict[str, Any], columns: dict[str, Any]) -> Table:
    summary = about["summary"]
    scores = {name: summary["scores"][name] for name in columns if name in summary["scores"]}
    header = ["steps ahead"]
    for name in scores:
        level = f"{100 * about['settings']['level']:g} %"
        heading = columns[name][0] if name in _SCORES else f"inside {level}: {columns[name]}"
        header += [heading, "+-"]
    last = summary["steps"]
    rows = []
    for label in (*sorted({step for step in _ROWS if step < last} | {last}), "all"):
        row = [str(label)]
        for name, score in scores.items():
            entry = score["all"] if label == "all" else score["by_step"][int(label) - 1]
            row += _cells(entry, name)
        rows.append(row)
    return Table(header, rows)


def _cells(entry: dict[str, Any], name: str) -> list[str]:
    if entry["mean"] is None:
        return ["-", "-"]
    sign = _SCORES[name][1] if name in _SCORES else 1
    return [f"{sign * entry['mean']:.3f}", format_error(entry["std_error_data"])]


def _calibration(bins: list[dict[str, Any]]) -> Table:
    rows = []
    for index, found in enumerate(bins):
        frequency = found["frequency"]
        numbers = ["-", "-", "-"]
        if found["count"]:
            numbers = [
                f"{found['predicted']:.3f}",
                f"{frequency['mean']:.3f}",
                format_error(frequency["std_error_data"]),
            ]
        low, high = index / len(bins), (index + 1) / len(bins)
        rows.append([f"{low:.1f} to {high:.1f}", *numbers, f"{found['count']:,.0f}"])
    return Table(["predicted probability of a 1", "mean", "frequency", "+-", "values"], rows)


def _scores_figure(about: dict[str, Any]) -> tuple[Any, str]:
    """Scores and coverage against steps ahead; of binary x frequency against probability."""
    summary, level = about["summary"], about["settings"]["level"]
    calibrated = "calibration" in summary
    figure, axes = plt.subplots(1, 3 if calibrated else 2, figsize=(13 if calibrated else 9, 3.6))
    for axis, columns in zip(axes, (_SCORES, _INSIDE), strict=False):
        names = [name for name in columns if name in summary["scores"]]
        for name, colour in zip(names, _COLOURS, strict=False):
            entries = summary["scores"][name]["by_step"]
            sign, label = (_SCORES[name][1], _SCORES[name][0]) if name in _SCORES else (1, "")
            mean = np.array([np.nan if e["mean"] is None else sign * e["mean"] for e in entries])
            error = np.array([e["std_error_data"] or 0.0 for e in entries])
            steps = np.arange(1, len(entries) + 1)
            axis.plot(steps, mean, color=colour, label=label or _INSIDE[name])
            axis.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.2, lw=0)
        axis.set_xlabel("steps ahead")
        axis.legend(fontsize=8)
    axes[0].set_ylabel("nats a frame" if calibrated else "squared error a value")
    axes[1].set_ylabel(f"share inside the central {100 * level:g} %")
    axes[1].axhline(level, color="black", lw=0.7)
    axes[1].set_ylim(0, 1)
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
        axes[2].set_xlabel("predicted probability of a 1")
        axes[2].set_ylabel("frequency")
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    return figure, (
        "Forecasts by how many steps ahead; bands of one standard error over sequences. Black: "
        "what a calibrated model has."
    )


def _pictures(about: dict[str, Any], found: dict[str, np.ndarray]) -> tuple[Any, str]:
    """The first sequences: what was seen, what followed, and what was forecast."""
    draw: Callable = _rolls
    if found["x"].ndim > 3:
        draw = _films
    elif about["support"] == "real":
        draw = _lines
    level = f"{100 * about['settings']['level']:g} %"
    return draw(found, about["summary"]["start"], level), (
        f"The first {len(found['x'])} sequences; the line parts the frames that were seen from "
        "those that were not."
    )


def _lines(found: dict[str, np.ndarray], start: int, level: str) -> Any:
    """A row for each element, a column for each sequence."""
    x = found["x"].reshape(*found["x"].shape[:2], -1)
    parts = ("low", "high", "mean")
    n, shown = len(x), min(x.shape[2], _LINES)
    low, high, mean = (found[p].reshape(n, found[p].shape[1], -1) for p in parts)
    figure, axes = plt.subplots(
        shown, n, figsize=(4 * n, 0.8 + 1.7 * shown), squeeze=False, sharex=True, sharey="row"
    )
    times = start + np.arange(mean.shape[1])
    for i in range(n):
        there = np.flatnonzero(found["exists"][i])
        for j in range(shown):
            axis = axes[j, i]
            axis.fill_between(
                times, low[i, :, j], high[i, :, j], color=BLUE, alpha=0.2, lw=0, label=level
            )
            axis.plot(times, mean[i, :, j], color=BLUE, lw=1, label="mean forecast")
            axis.plot(there, x[i, there, j], ".", ms=3, color=GREY, label="x")
            axis.axvline(start - 0.5, color="black", lw=0.7)
            axis.grid(alpha=0.3)
            if i == 0:
                axis.set_ylabel(f"$x_{{t,{j + 1}}}$")
        axes[-1, i].set_xlabel("frame t")
    axes[0, 0].legend(fontsize=7)
    figure.tight_layout()
    return figure


def _rolls(found: dict[str, np.ndarray], start: int, level: str) -> Any:
    """Elements upwards: x, the probability forecast, one draw."""
    del level
    x = found["x"]
    n, time = x.shape[:2]
    used = np.flatnonzero((x.reshape(-1, x.shape[2]) > 0).any(axis=0))
    used = np.arange(used.min(), used.max() + 1) if len(used) else np.arange(x.shape[2])
    figure, axes = plt.subplots(n, 3, figsize=(13, 0.6 + 1.9 * n), squeeze=False)
    for i in range(n):
        views = {"x": x[i], "probability": found["mean"][i], "a draw": found["draws"][i, 0]}
        for axis, (title, values) in zip(axes[i], views.items(), strict=True):
            whole = values if len(values) == time else np.concatenate([x[i, :start], values])
            axis.imshow(
                whole[:, used].T,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                cmap="gray_r",
                vmin=0,
                vmax=1,
                extent=(-0.5, len(whole) - 0.5, used[0] - 0.5, used[-1] + 0.5),
            )
            axis.axvline(start - 0.5, color=ORANGE, lw=1)
            if i == 0:
                axis.set_title(title, fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("frame t")
    figure.tight_layout()
    return figure


def _films(found: dict[str, np.ndarray], start: int, level: str) -> Any:
    """Of each sequence a strip of what happened, and one of each draw of what follows."""
    del level
    strips, titles = [], []
    for i, x in enumerate(found["x"]):
        strips += [x, *(np.concatenate([x[:start], draw]) for draw in found["draws"][i])]
        draws = [f"draw {k + 1}" for k in range(found["draws"].shape[1])]
        titles += [f"sequence {i}: x", *draws]
    return film_strips(strips, titles, start)


def film_strips(strips: list[np.ndarray], titles: list[str], start: int) -> Any:
    """Films as rows of stills from two frames before `start` on; a line where it begins."""
    length = max(map(len, strips))
    begin = max(0, start - 3)
    every = max(1, -(-(length - begin) // _STILLS))
    low, high = min(np.nanmin(s) for s in strips), max(np.nanmax(s) for s in strips)
    figure, axes = plt.subplots(len(strips), 1, figsize=(11, 0.85 * len(strips)), squeeze=False)
    for axis, film, title in zip(axes[:, 0], strips, titles, strict=True):
        shown = np.arange(begin, len(film), every)
        images = film[shown]
        unit = (images - low) / max(high - low, 1e-6) if low < 0 or high > 1 else images
        colour = images.ndim == 4 and images.shape[-1] == 3
        canvas = mosaic(unit if colour else 1.0 - unit, len(shown))
        axis.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        height, width = images.shape[1:3]
        step = width + max(1, height // 14)
        seen = int(np.sum(shown < start))
        axis.axvline(seen * step - 1, color=ORANGE, lw=1.5)
        axis.set_yticks([])
        axis.set_ylabel(title, fontsize=7, rotation=0, ha="right", va="center")
        last = axis is axes[-1, 0]
        places = np.arange(len(shown)) * step + width / 2 - 0.5
        axis.set_xticks(places, [str(t) for t in shown] if last else [], fontsize=7)
        axis.tick_params(length=0)
    axes[-1, 0].set_xlabel("frame", fontsize=8)
    figure.tight_layout()
    return figure
