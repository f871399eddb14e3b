"""What `vaejax gaps` found: a table with the protocol, and two figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from vaejax.evaluation.gaps import with_log_p
from vaejax.report.table import HEADER, format_error, format_table
from vaejax.run_directory import RunDirectory

_FIGURES = {
    "decomposition": "Both gaps of each family",
    "distribution": "The gaps of the examples, as distributions",
}
_COLOURS = {
    "approximation gap": "#1f5fa8",
    "amortization gap": "#d9822b",
    "encoder's loss to it": "#e8c39e",
}


def print_gaps(about: dict[str, Any]) -> None:
    """The table, the protocol, and what did not converge."""
    first, *others = gap_lines(about)
    print(first)
    print(format_table(HEADER, gap_rows(about)))
    print("\n".join(others))


def gap_rows(about: dict[str, Any]) -> list[list[str]]:
    """Rows of the table, under `HEADER`: each split's bounds and gaps."""
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
                _row(f"{split} (n = {n:,}): -log p(x, z) at the code", here, "nats; no bound", -1),
                _row("  at the best z", best["bound"], "nats; no bound", -1),
                _row("  what the code loses to it", best["amortization"], "nats; no gap of bounds"),
            ]
            continue
        best_of = "nats; at least -log p(x) in expectation"
        rows.append(_row(f"{split} (n = {n:,}): -log p(x)", found["log_p"], best_of, -1))
        rows.append(_row("  -bound of the encoder's q", found["amortized"], "nats", -1))
        rows.append(_row("  total gap", found["total"], "nats"))
        for name in about["names"]:
            rows += [
                _row(f"  -bound of the best {name} q", found[name]["bound"], "nats", -1),
                _row("    approximation gap", found[name]["approximation"], "log p(x) - best"),
                _row(
                    f"    {_second(name, about)}", found[name]["amortization"], "best - encoder's"
                ),
            ]
    if "generalization" in summary:
        found = summary["generalization"]
        name = found["family"]
        if is_map:
            rows.append(_row("of the code, test - train", found, "nats"))
        else:
            meaning = f"{_second(name, about)} ({name}), test - train"
            rows.append(_row("encoder's generalization gap", found, meaning))
    return rows


def _second(name: str, about: dict[str, Any]) -> str:
    """What the best bound of a family minus the encoder's is."""
    return "amortization gap" if name == about["own_family"] else "encoder's loss to it"


def gap_lines(about: dict[str, Any]) -> list[str]:
    """How it was measured; what did not converge, diverged or is out of order."""
    p, s = about["protocol"], about["settings"]
    lines = [
        f"{p['data']} [{p['fingerprint']}], binarization {p['binarization']}; "
        f"{about['parameters']} parameters, step {about['step']:,}; highest matmul precision"
    ]
    if about["stopped"]:
        lines.append(f"stopped before {s['examples']} examples a split; the same command goes on")
    if s["map"]:
        lines.append(f"the best z: Adam from the encoder's, {s['max_steps']:,} steps at most")
    else:
        lines.append(
            f"log p(x): importance sampling (K = {s['num_samples']:,}) or AIS from q "
            f"({s['num_chains']} chains, {s['num_temperatures']} temperatures), whichever is "
            f"higher on average ({', '.join(_estimators(about))}), each a lower bound in "
            "expectation; "
            f"best q: Adam, {s['draws_per_step']} draws a step, {s['max_steps']:,} steps at most, "
            f"its bound from {s['num_bound_samples']:,} fresh draws"
        )
        lines.append(
            "where log p(x) is short, approximation gaps are too small; where a fit is, "
            "amortization gaps are too small and approximation gaps too large"
        )
    meanings = {
        "diverged": "diverged, not in the means",
        "not_converged": "not converged, in the means",
        "out_of_order": "encoder's <= best <= log p(x) fails by 3 standard errors",
    }
    for split, found in _splits(about):
        unknown = found["not_finite"]
        if unknown:
            lines.append(
                f"{split}: log p(x) or the encoder's bound not finite, in none of the means: "
                f"{listed(unknown)}"
            )
        for what, meaning in meanings.items():
            if what == "out_of_order" and s["map"]:
                continue
            counts = [f"{name} {listed(found[name][what])}" for name in about["names"]]
            lines.append(f"{split}: {meaning}: {', '.join(counts)}")
    return lines


def listed(indices: list[int]) -> str:
    """How many, and the first of them."""
    if not indices:
        return "0"
    more = ", ..." if len(indices) > 10 else ""
    return f"{len(indices):,} (examples {', '.join(map(str, indices[:10]))}{more})"


def _estimators(about: dict[str, Any]) -> list[str]:
    return [f"{split}: {found['estimator']}" for split, found in _splits(about)]


def _splits(about: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (split, about["summary"][split]) for split in ("train", "test") if split in about["summary"]
    ]


def _row(label: str, entry: dict[str, Any], meaning: str, sign: float = 1.0) -> list[str]:
    if entry["mean"] is None:
        return [label, "-", "-", "-", meaning]
    if "median" in entry and entry["median"] is not None:
        meaning = f"{meaning}; median {entry['median']:.3f}"
    return [
        label,
        f"{sign * entry['mean']:.3f}",
        format_error(entry.get("std_error_monte_carlo")),
        format_error(entry["std_error_data"]),
        meaning,
    ]


def draw_gaps(
    run: RunDirectory, stem: str, about: dict[str, Any], splits: Mapping[Any, dict[str, np.ndarray]]
) -> list[Path]:
    """Both gaps of each split and family, side by side: a fit may end below the encoder's q. The
    distribution over examples."""
    names = about["names"]
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
    paths = [_save(run, f"{stem}-decomposition.png", figure)]
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
        axes.set_ylabel("share of the examples below")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    paths.append(_save(run, f"{stem}-distribution.png", figure))
    return paths


def gap_sections(run: RunDirectory) -> list[tuple[dict[str, Any], dict[Path, str]]]:
    """What `vaejax gaps` has found so far, the oldest first, each with its figures and
    their captions."""
    files = run.file("gaps").glob("*-n*.json")
    return [
        (
            run.read_json(f"gaps/{file.name}", "settings", "summary", "names", "protocol"),
            {run.file(f"gaps/{file.stem}-{kind}.png"): what for kind, what in _FIGURES.items()},
        )
        for file in sorted(files, key=lambda file: file.stat().st_mtime)
    ]


def _save(run: RunDirectory, name: str, figure) -> Path:
    figure.tight_layout()
    figure.savefig(run.file(name), dpi=130)
    plt.close(figure)
    return run.file(name)
