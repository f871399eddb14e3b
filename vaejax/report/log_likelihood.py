"""What `vaejax log-likelihood` found: a table with the protocol, and one figure."""

import math
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from vaejax.report.table import HEADER, format_error, format_table
from vaejax.run_directory import RunDirectory

_LABELS = {
    "importance": "importance sampling",
    "annealed": "AIS",
    "smc": "SMC",
    "bidirectional": "bidirectional",
}
_COLOURS = {
    "importance": "#d9822b",
    "annealed": "#1f5fa8",
    "smc": "#2f8f4e",
    "bidirectional": "#8a3ffc",
}


def print_log_likelihood(results: list[dict[str, Any]]) -> None:
    """One table of all estimators, the protocol of each, what is flagged and which."""
    p = results[0]["protocol"]
    print(
        f"{p['data']} [{p['fingerprint']}], binarization {p['binarization']}; "
        f"{results[0]['parameters']} parameters, step {results[0]['step']:,}; highest matmul "
        f"precision, float{64 if results[0]['settings']['float64'] else 32}"
    )
    rows = [row for about in results for row in log_likelihood_rows(about)]
    print(format_table(HEADER, rows))
    for about in results:
        print("\n".join(about_lines(about)))


def about_lines(about: dict[str, Any]) -> list[str]:
    """How it was made, which examples are flagged, and what it is not."""
    lines = [f"{_LABELS[about['name']]}: {_protocol(about)}", *(f"  {f}" for f in _flags(about))]
    if about["name"] == "bidirectional":
        lines += [
            "  The upper bound and the gap hold for data simulated from this model, where z is an "
            "exact posterior draw.",
            "  For real data they are no bound: they say how far this sampler, at this budget, is "
            "from log p(x) where the model is right.",
        ]
    return lines


def _protocol(about: dict[str, Any]) -> str:
    settings = {k: v for k, v in about["settings"].items() if v not in (None, False)}
    n, asked = about["summary"]["n"], about["asked"]
    text = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())
    text += f"; {about['evaluations_per_estimate']:,} evaluations an estimate; n = {n:,}"
    if about["stopped_by"]:
        text += f" of {asked:,}: stopped by {about['stopped_by']}; the same command goes on"
    return text


def _flags(about: dict[str, Any]) -> list[str]:
    summary = about["summary"]
    total = summary["n"] + len(summary["not_finite"])
    lines = [f"{summary['flagged']:,} of {total:,} examples flagged, not to be believed one by one"]
    reasons = dict(summary["flags"])
    if about["target_missed"]:
        reasons["target standard error not reached"] = about["target_missed"]
    for reason, indices in reasons.items():
        more = ", ..." if len(indices) > 10 else ""
        lines.append(f"{reason}: {len(indices):,} ({', '.join(map(str, indices[:10]))}{more})")
    return lines


def log_likelihood_rows(about: dict[str, Any]) -> list[list[str]]:
    """Rows of the table, under `HEADER`."""
    name, summary = about["name"], about["summary"]
    label = _LABELS[name]
    if summary["n"] == 0:
        return [[label, "-", "-", "-", "no example has a finite estimate"]]
    below = "nats; at least -log p(x) in expectation"
    if name != "bidirectional":
        rows = [_row(f"-log p(x), {label}", summary["log_p"], below)]
        if about["support"] in ("binary", "grey"):
            unit = math.log(2) * math.prod(about["protocol"]["shape"])
            rows.append(_row("  the same", summary["log_p"], "bits/dim", unit))
        return rows
    median = f"nats; median {summary['gap_median']:.3f}"
    return [
        _row("simulated x: -log p(x), AIS", summary["log_p"], below),
        _row("simulated x: -log p(x), reverse", summary["upper"], "nats; at most, in expectation"),
        _row("  gap of the two", summary["gap"], median, -1.0),
    ]


def _row(label: str, entry: dict[str, Any], meaning: str, unit: float = 1.0) -> list[str]:
    digits = 3 if abs(unit) == 1 else 5
    errors = [entry["std_error_monte_carlo"], entry["std_error_data"]]
    return [
        label,
        f"{-entry['mean'] / unit:.{digits}f}",
        *(format_error(error and error / abs(unit), digits) for error in errors),
        meaning,
    ]


def draw_log_likelihood(run: RunDirectory, stems: list[str]) -> Path:
    """Estimates side by side, their gaps, acceptance and ESS along the temperatures."""
    found = [(run.read_json(f"{s}.json"), run.read_arrays(f"{s}.npz")) for s in stems]
    figure, ((estimates, gaps), (acceptance, ess)) = plt.subplots(2, 2, figsize=(11, 7.5))
    real = {about["name"]: arrays for about, arrays in found if about["name"] != "bidirectional"}
    if real:
        reference = "annealed" if "annealed" in real else next(iter(real))
        n = min(len(arrays["value"]) for arrays in real.values())
        order = np.argsort(real[reference]["value"][:n])
        for name, arrays in real.items():
            value = arrays["value"][:n]
            style = {"ms": 3, "color": _COLOURS[name]}
            estimates.plot(value[order], ".", label=_LABELS[name], **style)
            if name != reference:
                label = f"{_LABELS[name]} minus {_LABELS[reference]}"
                gap = np.sort(value - real[reference]["value"][:n])
                gaps.plot(gap, ".", label=label, **style)
    for about, arrays in found:
        name = about["name"]
        style = {"color": _COLOURS[name], "label": _LABELS[name]}
        if name == "bidirectional":
            gaps.plot(np.sort(arrays["gap"]), ".", ms=3, **style | {"label": "upper minus lower"})
        if "betas" not in arrays:
            continue
        betas = np.linspace(0, 1, arrays["betas"].shape[1])
        accepted, size = arrays["acceptance"].mean(axis=0), arrays["ess_along"].mean(axis=0)
        chains = about["settings"].get("num_chains") or _island_size(arrays, about)
        acceptance.plot(betas[1 : 1 + len(accepted)], accepted, **style)
        ess.plot(betas[1 : 1 + len(size)], size / chains, **style)
    gaps.axhline(0, color="#666666", lw=0.5)
    for axes, title, horizontal, vertical in (
        (estimates, "estimates of log p(x)", "example, sorted", "nats"),
        (gaps, "gaps between estimates", "example, sorted each", "nats"),
        (acceptance, "HMC acceptance, mean over examples", "temperature index / T", ""),
        (
            ess,
            "effective sample size, mean over examples",
            "temperature index / T",
            "of all chains",
        ),
    ):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(horizontal)
        axes.set_ylabel(vertical)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    acceptance.set_ylim(0, 1)
    ess.set_ylim(0, 1)
    figure.tight_layout()
    path = run.file("log_likelihood/figure.png")
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def _island_size(arrays, about) -> int:
    """Particles of one of SMC's filters, which resample among themselves."""
    return about["settings"]["num_particles"] // arrays["log_weights"].shape[1]
