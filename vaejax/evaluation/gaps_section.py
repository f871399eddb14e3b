"""The output of `vaejax gaps`: a table with its protocol, and two figures."""

from typing import Any

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.gap_arithmetic import with_log_p
from vaejax.evaluation.section import (
    HEADER,
    Figure,
    Section,
    Table,
    data_line,
    listed,
    mean_row,
)

_COLOURS = {
    "approximation gap": "#1f5fa8",
    "amortization gap": "#d9822b",
    "encoder's loss against it": "#e8c39e",
}


def gaps_section(about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> Section:
    """The section: bounds and gaps of each split and family, and fits that did not converge,
    diverged or are out of order."""
    counts = about["summary"]["counts"]
    splits = {
        split: {name: values[: counts[split]] for name, values in arrays[split].items()}
        for split, _ in _splits(about)
    }
    return Section(
        "What the encoder costs",
        data_line(about),
        [Table(HEADER, gap_rows(about))],
        gap_lines(about),
        [
            Figure("decomposition", lambda: _decomposition(about)),
            Figure("distribution", lambda: _distribution(about, splits)),
        ],
    )


def gap_rows(about: dict[str, Any]) -> list[list[str]]:
    """Rows under `HEADER`: the bounds and gaps of each split."""
    rows = []
    summary, is_map = about["summary"], about["settings"]["map"]
    for split in ("train", "test"):
        if split not in summary:
            continue
        found = summary[split]
        n = found["amortized"]["n"]
        if is_map:
            here, best = found["amortized"], found["best"]
            rows += [
                mean_row(
                    f"{split} (n = {n:,}): -log p(x, z) at the code", here, "nats; not a bound", -1
                ),
                mean_row("  at the best z", best["bound"], "nats; not a bound", -1),
                mean_row(
                    "  difference of the two", best["amortization"], "nats; not a gap of bounds"
                ),
            ]
            continue
        exact = found["estimator"] == "exact"
        best_of = "nats; exact" if exact else "nats; an upper bound on -log p(x) in expectation"
        rows.append(mean_row(f"{split} (n = {n:,}): -log p(x)", found["log_p"], best_of, -1))
        rows.append(mean_row("  -bound of the encoder's q", found["amortized"], "nats", -1))
        rows.append(mean_row("  total gap", found["total"], "nats"))
        for name in about["summary"]["names"]:
            rows += [
                mean_row(f"  -bound of the best {name} q", found[name]["bound"], "nats", -1),
                mean_row(
                    "    approximation gap",
                    found[name]["approximation"],
                    "nats; log p(x) - best bound",
                ),
                mean_row(
                    f"    {_second(name, about)}",
                    found[name]["amortization"],
                    "nats; best bound - encoder's bound",
                ),
            ]
    if "generalization" in summary:
        found = summary["generalization"]
        name = found["family"]
        if is_map:
            rows.append(mean_row("difference, test - train", found, "nats"))
        else:
            meaning = f"nats; {_second(name, about)} ({name}), test - train"
            rows.append(mean_row("encoder's generalization gap", found, meaning))
    return rows


def _second(name: str, about: dict[str, Any]) -> str:
    """The name of the difference between the best bound of a family and the encoder's bound."""
    own = about["summary"]["own_family"]
    return "amortization gap" if name == own else "encoder's loss against it"


def gap_lines(about: dict[str, Any]) -> list[str]:
    """Lines on how it was measured, on estimates of log p(x) that are flagged, and on fits that did
    not converge, diverged or are out of order."""
    s = about["settings"]
    lines = []
    if about["stopped_by"]:
        lines.append(
            f"stopped before {s['examples']} examples per split; run the same command again to "
            "resume"
        )
    if s["map"]:
        lines.append(f"the best z: by Adam from the encoder's z, at most {s['max_steps']:,} steps")
    else:
        best = (
            f"best q: by Adam, {s['draws_per_step']} draws per step, at most {s['max_steps']:,} "
            f"steps; its bound is from {s['num_bound_samples']:,} fresh draws"
        )
        short = (
            "if a fit is not the best, amortization gaps are too small and approximation gaps too "
            "large"
        )
        if all(found["estimator"] == "exact" for _, found in _splits(about)):
            lines += [f"log p(x): exact; {best}", short]
        else:
            lines.append(
                f"log p(x): by importance sampling (K = {s['num_samples']:,}) or AIS from q "
                f"({s['num_chains']} chains, {s['num_temperatures']} temperatures), whichever is "
                f"higher on average ({', '.join(_estimators(about))}); each is a lower bound in "
                f"expectation; {best}"
            )
            lines.append(
                "if the estimate of log p(x) is too low, approximation gaps are too small; " + short
            )
    fits = [found[name] for _, found in _splits(about) for name in about["summary"]["names"]]
    if not any(fit["diverged"] or fit["not_converged"] for fit in fits):
        lines.append("every fit converged")
    order = "best bound"
    if about["summary"]["own_family"] is not None:
        order = f"encoder's bound <= {order}"
    meanings = {
        "diverged": "diverged (not in the means)",
        "not_converged": "not converged (but in the means)",
        "out_of_order": f"{order} <= log p(x) fails by 3 standard errors",
    }
    for split, found in _splits(about):
        unknown = found["not_finite"]
        if unknown:
            lines.append(
                f"{split}: log p(x) or the encoder's bound is not finite (in none of the means): "
                f"{listed(unknown)}"
            )
        for reason, examples in found.get("flags", {}).items():
            measured = found["log_p"]["n"] + len(found["not_finite"])
            of = f"{len(examples)} of {measured} estimates of log p(x)"
            lines.append(f"{split}: {of} unreliable ({reason}): {listed(examples)}")
        for what, meaning in meanings.items():
            if what == "out_of_order" and s["map"]:
                continue
            counts = [
                f"{name} {listed(found[name][what])}"
                for name in about["summary"]["names"]
                if found[name][what]
            ]
            if counts:
                lines.append(f"{split}: {meaning}: {', '.join(counts)}")
    if not s["map"] and about["summary"]["own_family"] not in about["summary"]["names"]:
        lines.append(
            "the encoder's q is of none of these families: it may be better than the best of them"
        )
    return lines


def _estimators(about: dict[str, Any]) -> list[str]:
    return [f"{split}: {found['estimator']}" for split, found in _splits(about)]


def _splits(about: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (split, about["summary"][split]) for split in ("train", "test") if split in about["summary"]
    ]


def _decomposition(about: dict[str, Any]):
    """Both gaps of each split and family, next to each other; a fit may end below the encoder's
    q."""
    splits = [name for name, _ in _splits(about)]
    names = about["summary"]["names"]
    figure, axes = plt.subplots(figsize=(1.5 + 1.6 * len(splits) * len(names), 4.2))
    labels: list[str] = []
    for split in splits:
        for name in names:
            found = about["summary"][split][name]
            bars = (
                (-0.2, "approximation", "approximation gap"),
                (0.2, "amortization", _second(name, about)),
            )
            for shift, gap, label in bars:
                entry = found.get(gap)
                if entry is None or entry["mean"] is None:
                    continue
                axes.bar(
                    len(labels) + shift,
                    entry["mean"],
                    width=0.4,
                    yerr=entry["std_error_data"],
                    color=_COLOURS[label],
                    capsize=3,
                    label=None if label in axes.get_legend_handles_labels()[1] else label,
                )
            labels.append(f"{split}\n{name}")
    axes.axhline(0, color="#666666", lw=0.5)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("nats")
    axes.set_title("gaps, mean and standard error over examples", fontsize=10)
    axes.legend(fontsize=8)
    return figure, "The mean of both gaps of each family, in nats."


def _distribution(about: dict[str, Any], splits: dict[str, dict[str, np.ndarray]]):
    """The gaps of the examples, sorted."""
    names = about["summary"]["names"]
    figure, grid = plt.subplots(1, len(names), figsize=(4.5 * len(names), 3.6), squeeze=False)
    for axes, name in zip(grid[0], names, strict=True):
        for split, measured in splits.items():
            arrays = with_log_p(measured)
            usable = ~arrays[f"{name}_diverged"]
            style = "-" if split == "test" else "--"
            parts = {_second(name, about): arrays[name] - arrays["amortized"]}
            if "log_p" in arrays:
                parts["approximation gap"] = arrays["log_p"] - arrays[name]
            for gap, values in parts.items():
                values = np.sort(values[usable & np.isfinite(values)])
                share = (np.arange(len(values)) + 0.5) / max(len(values), 1)
                axes.plot(values, share, style, color=_COLOURS[gap], label=f"{gap}, {split}")
        axes.set_title(f"{name}: gaps of the examples", fontsize=10)
        axes.set_xlabel("nats")
        axes.set_ylabel("share of examples below")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure, "The distribution of each gap over the examples."
