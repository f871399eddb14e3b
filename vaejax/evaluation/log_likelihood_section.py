"""The output of `vaejax log-likelihood`: a table with its protocol, flags, and a figure."""

import math
from typing import Any

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.section import (
    HEADER,
    Figure,
    Section,
    Table,
    data_line,
    listed,
    mean_row,
)

_LABELS = {
    "importance": "importance sampling",
    "annealed": "AIS",
    "smc": "SMC",
    "bidirectional": "bidirectional",
    "filter": "particle filter",
}
_COLOURS = {
    "importance": "#d9822b",
    "annealed": "#1f5fa8",
    "smc": "#2f8f4e",
    "bidirectional": "#8a3ffc",
    "filter": "#c0392b",
}


def log_likelihood_section(
    about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]
) -> Section:
    """The section: a table of all estimators, the protocol of each, and the flagged examples."""
    rows = [row for name in about["summary"] for row in _rows(name, about)]
    notes = [line for name in about["summary"] for line in _lines(name, about)]
    exact = next(iter(about["summary"].values())).get("exact")
    if exact:
        notes.insert(0, f"log p(x) is exact here ({exact}): vaejax evaluate prints it")
    if about["stopped_by"]:
        notes.append(f"stopped by {about['stopped_by']}; run the same command again to resume")
    protocol = f"{data_line(about)}, float{64 if about['settings']['float64'] else 32}"
    found = {name: arrays[name] for name in about["summary"]}
    figure = Figure("log_likelihood", lambda: _figure(about, found))
    return Section("log p(x)", protocol, [Table(HEADER, rows)], notes, [figure])


def _lines(name: str, about: dict[str, Any]) -> list[str]:
    """Lines on the protocol of an estimator, its flagged examples, and its limits."""
    found = about["summary"][name]
    lines = [f"{_LABELS[name]}: {_protocol(found)}", *_flags(found)]
    if name == "bidirectional":
        lines.append(
            "The upper bound and the gap hold for data simulated from this model, for which z is "
            "an exact draw from p(z | x). They are not bounds for real data: they show how far "
            "this sampler, at this cost, is from log p(x) if the model is right."
        )
    return lines


def _protocol(found: dict[str, Any]) -> str:
    settings = {k: v for k, v in found["settings"].items() if v not in (None, False)}
    text = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())
    each = found["evaluations_per_estimate"]
    return f"{text}; {each:,} evaluations per estimate; n = {found['n']:,}"


def _flags(found: dict[str, Any]) -> list[str]:
    total = found["n"] + len(found["not_finite"])
    doubt = ": their estimates are unreliable" if found["flagged"] else ""
    lines = [f"{found['flagged']:,} of {total:,} examples flagged{doubt}"]
    reasons = dict(found["flags"])
    if found["target_missed"]:
        reasons["target standard error not reached"] = found["target_missed"]
    return lines + [f"{reason}: {listed(indices)}" for reason, indices in reasons.items()]


def _rows(name: str, about: dict[str, Any]) -> list[list[str]]:
    """The rows of an estimator under `HEADER`."""
    found, label = about["summary"][name], _LABELS[name]
    if found["n"] == 0:
        return [[label, "-", "-", "-", "no example has a finite estimate"]]
    meaning = "nats; an upper bound on -log p(x) in expectation"
    if name != "bidirectional":
        rows = [mean_row(f"-log p(x), {label}", found["log_p"], meaning, -1.0)]
        shape, entry = about["protocol"]["shape"], found["log_p"]
        if "per_frame" in found:
            entry, shape = found["per_frame"], shape[1:]
            rows.append(mean_row("  the same", entry, "nats/frame", -1.0))
        if about["support"] in ("binary", "grey"):
            unit = -math.log(2) * math.prod(shape)
            rows.append(mean_row("  the same", entry, "bits/dim", unit, 5))
        return rows
    median = f"nats; median {found['gap_median']:.3f}"
    return [
        mean_row("simulated x: -log p(x), AIS", found["log_p"], meaning, -1.0),
        mean_row(
            "simulated x: -log p(x), reverse",
            found["upper"],
            "nats; a lower bound on -log p(x) in expectation",
            -1.0,
        ),
        mean_row("  difference of the two", found["gap"], median),
    ]


def _figure(about: dict[str, Any], found: dict[str, dict[str, np.ndarray]]):
    """Estimates of each example, differences between them, acceptance and ESS by temperature."""
    figure, ((estimates, gaps), (acceptance, ess)) = plt.subplots(2, 2, figsize=(11, 7.5))
    real = {name: arrays for name, arrays in found.items() if name != "bidirectional"}
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
    for name, arrays in found.items():
        style = {"color": _COLOURS[name], "label": _LABELS[name]}
        if name == "bidirectional":
            gaps.plot(np.sort(arrays["gap"]), ".", ms=3, **style | {"label": "upper minus lower"})
        if "betas" not in arrays:
            continue
        betas = np.linspace(0, 1, arrays["betas"].shape[1])
        accepted, size = arrays["acceptance"].mean(axis=0), arrays["ess_along"].mean(axis=0)
        settings = about["summary"][name]["settings"]
        chains = settings.get("num_chains") or _island_size(arrays, settings)
        acceptance.plot(betas[1 : 1 + len(accepted)], accepted, **style)
        ess.plot(betas[1 : 1 + len(size)], size / chains, **style)
    gaps.axhline(0, color="#666666", lw=0.5)
    for axes, title, horizontal, vertical in (
        (estimates, "estimates of log p(x)", "example, sorted", "nats"),
        (gaps, "differences between estimates", "example, each sorted", "nats"),
        (acceptance, "HMC acceptance, mean over examples", "temperature index / T", ""),
        (
            ess,
            "effective sample size, mean over examples",
            "temperature index / T",
            "share of all chains",
        ),
    ):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(horizontal)
        axes.set_ylabel(vertical)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
        else:  # no estimator has it
            axes.remove()
    acceptance.set_ylim(0, 1.02)
    ess.set_ylim(0, 1.02)
    figure.tight_layout()
    return (
        figure,
        "Estimates of log p(x) in nats, and the acceptance and sample sizes of the samplers.",
    )


def _island_size(arrays, settings) -> int:
    """The number of particles in one island of SMC, whose particles resample among themselves."""
    return settings["num_particles"] // arrays["log_weights"].shape[1]
