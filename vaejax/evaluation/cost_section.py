"""The output of `vaejax cost`: a table with its protocol, and a figure of bound against time."""

from typing import Any

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.section import Figure, Section, Table, cells, data_line, listed

_COLOURS = {"standard": "#d9822b", "encoder": "#1f5fa8"}
_LABELS = {"standard": "optimized from N(0, I)", "encoder": "optimized from the encoder's q"}


COST_HEADER = ["", "-bound, nats", "+- MC", "+- data", "steps", "ms/example", "forward passes"]


def cost_section(about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> Section:
    """The section: the encoder's forward pass, and each start of the fit."""
    return Section(
        "The cost of optimizing q for each x",
        data_line(about),
        [Table(COST_HEADER, cost_rows(about))],
        cost_lines(about),
        [Figure("cost", lambda: _figure(about, arrays["cost"]))],
    )


def cost_rows(about: dict[str, Any]) -> list[list[str]]:
    """Rows under `COST_HEADER`: the encoder's forward pass, then each start of the fit."""
    summary = about["summary"]
    forward = summary["seconds"]["amortized"]
    entry = summary["amortized"]
    rows = [_row("encoder's q, one forward pass", entry, "1", forward, forward)]
    for start, label in _LABELS.items():
        found, step_seconds = summary[start], summary["seconds"][start]
        rows.append(
            _row(
                f"{label}, at its end",
                found["bound"],
                f"{found['steps_median']:,.0f}",
                step_seconds * found["steps_median"],
                forward,
            )
        )
        for level, steps in found["steps_to"].items():
            taken = "never" if steps is None else f"{steps:,}"
            seconds = None if steps is None else steps * step_seconds
            rows.append(_row(f"  stays above {level}", None, taken, seconds, forward))
    return rows


def cost_lines(about: dict[str, Any]) -> list[str]:
    """Lines on how it was measured, and on fits that diverged or did not converge."""
    settings, summary = about["settings"], about["summary"]
    lines = [
        f"test split, n = {settings['examples']:,} in one batch; Adam, one draw per step; bounds "
        f"from {settings['num_bound_samples']:,} fresh draws; times were measured on one machine; "
        "+- MC: Monte Carlo standard error; +- data: standard error over examples"
    ]
    for start, label in _LABELS.items():
        for what in ("diverged", "not_converged"):
            indices = summary[start][what]
            if indices:
                lines.append(f"{label}: {what.replace('_', ' ')}: {listed(indices)}")
    if summary["left_out"]:
        lines.append(f"excluded from all means: {listed(summary['left_out'])}")
    return lines


def _row(label, entry, steps, seconds, forward) -> list[str]:
    bound = ["", "", ""] if entry is None else cells(entry, ("monte_carlo", "data"), -1)
    time = ["", ""] if seconds is None else [f"{1e3 * seconds:.3g}", f"{seconds / forward:,.0f}"]
    return [label, *bound, steps, *time]


def _figure(about: dict[str, Any], arrays: dict[str, np.ndarray]):
    """Mean bound against steps, and against milliseconds per example, on logarithmic axes."""
    summary = about["summary"]
    usable = np.ones(len(arrays["amortized"]), bool)
    usable[summary["left_out"]] = False
    figure, (by_step, by_time) = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for start, label in _LABELS.items():
        path = arrays[f"{start}_path"][usable].astype(np.float64)
        # The error of the distance to the end: differences in log p(x) between examples cancel.
        error = (path - arrays[start][usable][:, None]).std(axis=0) / np.sqrt(max(len(path), 1))
        mean = path.mean(axis=0)
        steps = about["settings"]["max_steps"] / path.shape[1] * (np.arange(path.shape[1]) + 1)
        for axes, places in ((by_step, steps), (by_time, 1e3 * summary["seconds"][start] * steps)):
            axes.plot(places, mean, color=_COLOURS[start], label=label)
            axes.fill_between(places, mean - error, mean + error, color=_COLOURS[start], alpha=0.15)
    amortized, forward = summary["amortized"]["mean"], 1e3 * summary["seconds"]["amortized"]
    if amortized is not None:
        for axes in (by_step, by_time):
            axes.axhline(amortized, color="#666666", lw=0.8, ls="--")
        by_time.plot(forward, amortized, "o", color="#222222", label="the encoder: a forward pass")
        ends = [summary[start]["bound"]["mean"] for start in _LABELS]
        best = max(ends)
        by_step.set_ylim(min(amortized, best) - 6 * max(best - amortized, 1), best + 1)
    by_step.set_ylabel("mean bound on log p(x), nats")
    by_step.set_xlabel("steps of Adam (dashed: the encoder's q)")
    by_time.set_xlabel("milliseconds per example, all in one batch on this machine")
    for axes in (by_step, by_time):
        axes.set_xscale("log")
        axes.grid(alpha=0.3)
    by_time.legend(fontsize=8, loc="lower right")
    figure.suptitle("band: standard error of the distance to the final bound", fontsize=9)
    figure.tight_layout()
    return figure, "The mean bound against steps of Adam, and against time."
