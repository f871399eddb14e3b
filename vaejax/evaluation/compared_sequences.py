"""Trained models of sequences side by side, from what was evaluated of each."""

import math
from typing import Any

import numpy as np
from scipy import stats

from vaejax.errors import UserError
from vaejax.evaluation.compared import Compared, fairness, training_of
from vaejax.evaluation.comparison import size_of
from vaejax.evaluation.evaluation_section import protocol_line
from vaejax.evaluation.section import Section, Table, format_error
from vaejax.marginal_likelihood.averages import mean_and_errors

_BOUNDS = "log_p", "iwae", "kl"  # of each sequence, in nats; the first where it is exact


def compare_sequences(members: list[Compared], title: str, tuning: str = "") -> dict[str, Any]:
    """What comparison.json holds: of each model, averaged over its seeds, nats per frame; of each
    pair the difference, paired over sequences.

    Raises:
      UserError: a run has no bound on log p(x), or they were evaluated in different ways.
    """
    _check_alike(members)
    arrays = {
        m.label: [run.directory.read_arrays("evaluation.npz") for run in m.runs] for m in members
    }
    evaluation = members[0].runs[0].evaluation
    models = []
    for member in members:
        model: dict[str, Any] = {
            "label": member.label,
            "runs": [run.directory.name for run in member.runs],
            "parameters": size_of(member.runs[0]),
            "training": training_of(member.runs),
        }
        models.append(model | _per_frame(arrays[member.label]))
    pairs = [
        {"first": a.label, "second": b.label} | _difference(arrays[a.label], arrays[b.label])
        for i, a in enumerate(members)
        for b in members[i + 1 :]
    ]
    return {
        "title": title,
        "protocol": members[0].runs[0].data.protocol(),
        "evaluated": protocol_line(evaluation, seed=False),
        "num_samples": evaluation["settings"]["num_samples"],
        "models": models,
        "pairs": pairs,
        "fairness": fairness(members, tuning),
    }


def _check_alike(members: list[Compared]) -> None:
    runs = [run for member in members for run in member.runs]
    first = runs[0].evaluation
    for run in runs:
        found = run.evaluation
        if "iwae" not in found["summary"]:
            raise UserError(f"{run.directory.path} has no bound on log p(x): leave it out")
        for name in ("num_samples", "split", "examples"):
            here, there = found["settings"][name], first["settings"][name]
            if here != there:
                raise UserError(
                    f"{run.directory.path} was evaluated with {name} {here}, "
                    f"{runs[0].directory.path} with {there}: evaluate both alike, by vaejax "
                    f"evaluate RUN --evaluate.{name.replace('_', '-')}"
                )


def _per_frame(seeds: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Total nats / total frames, of each number that every seed has."""
    frames = seeds[0]["frames"]
    found: dict[str, Any] = {}
    for name in (name for name in _BOUNDS if all(name in arrays for arrays in seeds)):
        values = _over_seeds(seeds, name)
        errors = [arrays[f"{name}_std_error"] for arrays in seeds]
        error = np.sqrt(np.sum(np.square(errors), axis=0)) / len(seeds)
        means = [mean_and_errors(arrays[name], None, frames)["mean"] for arrays in seeds]
        some = means[1:] and None not in means
        spread = np.std(means, ddof=1) / math.sqrt(len(means)) if some else None
        found[name] = mean_and_errors(values, error, frames) | {
            "std_error_seeds": spread,
            "each_seed": means,
        }
    return found


def _difference(
    first: list[dict[str, np.ndarray]], second: list[dict[str, np.ndarray]]
) -> dict[str, Any]:
    """log p(x) under the first model minus under the second, in nats per frame: exact where both
    have it, else of their bounds. The error is that over sequences, and over seeds, in squares;
    `half_width` that of Student's 95 % interval with the fewest degrees of freedom among these;
    None where there is but one sequence and one seed, or no frame."""
    exact = all("log_p" in arrays for arrays in (*first, *second))
    name, frames = ("log_p" if exact else "iwae"), first[0]["frames"]
    difference = _over_seeds(first, name) - _over_seeds(second, name)
    found = mean_and_errors(difference, None, frames)
    variance = (found["std_error_data"] or 0.0) ** 2
    for seeds in (first, second):
        ratios = [mean_and_errors(a[name], None, frames)["mean"] for a in seeds]
        some = ratios[1:] and None not in ratios
        variance += np.var(ratios, ddof=1) / len(ratios) if some else 0.0
    counts = [n - 1 for n in (found["n"], len(first), len(second)) if n > 1]
    known = counts and found["mean"] is not None
    error = math.sqrt(variance) if known else None
    half = error * float(stats.t.ppf(0.975, min(counts))) if error is not None else None
    return {"of": name, "mean": found["mean"], "std_error": error, "half_width": half}


def _over_seeds(seeds: list[dict[str, np.ndarray]], name: str) -> np.ndarray:
    """The mean over seeds, of each sequence."""
    return np.stack([arrays[name] for arrays in seeds]).mean(axis=0, dtype=np.float64)


def sequence_comparison_section(about: dict[str, Any]) -> Section:
    """The models, the differences of each pair, and what the numbers rest on."""
    K = about["num_samples"]
    header = ["model", f"-log p(x), IWAE-{K}", "+- MC", "+- data", "+- seeds", "exact", "+- data"]
    rows = []
    for model in about["models"]:
        exact = model.get("log_p")
        rows.append(
            [
                model["label"],
                *_cells(model["iwae"], ("monte_carlo", "data", "seeds"), -1),
                *(_cells(exact, ("data",), -1) if exact else ["-", "-"]),
                *_cells(model["kl"], ("data",), 1),
                f"{sum(model['parameters'].values()):,}",
                _training(model["training"]),
            ]
        )
    header += ["KL(q || p)", "+- data", "parameters", "training"]
    differences = [
        [
            f"{pair['first']} minus {pair['second']}",
            *_cells(pair, (), -1),
            format_error(pair["std_error"]),
            "exact" if pair["of"] == "log_p" else f"IWAE-{K} bounds",
            _verdict(pair),
        ]
        for pair in sorted(about["pairs"], key=lambda pair: -abs(pair["mean"] or 0.0))
    ]
    tables = [Table(header, rows)]
    if differences:
        tables.append(Table(["difference of -log p(x)", "mean", "+-", "of", ""], differences))
    notes = [
        "All in nats per frame: total nats / total frames. A bound is at least -log p(x) in "
        "expectation: a model that it is looser for looks worse than it is.",
        "Differences are paired over the same sequences; +- is over sequences, and over seeds "
        "where there are several; the words go by a 95 % interval.",
        "Sample quality, features and codes are measured of images and vectors, not of sequences: "
        "vaejax forecast measures what a model of sequences draws.",
        *about["fairness"],
    ]
    return Section(about["title"], about["evaluated"], tables, notes, [])


def _cells(entry: dict[str, Any], errors: tuple[str, ...], sign: int) -> list[str]:
    return [
        "-" if entry["mean"] is None else f"{sign * entry['mean']:.3f}",
        *(format_error(entry[f"std_error_{error}"]) for error in errors),
    ]


def _training(training: dict[str, Any]) -> str:
    if not training["seconds"]:
        return f"{training['steps']:,} steps"
    rate = training["steps"] * training["seeds"] / training["seconds"]
    return f"{training['steps']:,} steps, {training['seconds']:.0f} s ({rate:.0f} steps/s)"


def _verdict(pair: dict[str, Any]) -> str:
    if pair["half_width"] is None or abs(pair["mean"]) <= pair["half_width"]:
        return "cannot be told apart"
    return f"{pair['first' if pair['mean'] > 0 else 'second']} is ahead"
