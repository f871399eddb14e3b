"""Comparison of trained models of sequences, from their evaluations."""

from typing import Any

import numpy as np

from vaejax.errors import UserError
from vaejax.evaluation.compared import Compared, fairness, training_cost, training_of
from vaejax.evaluation.compared_forecasts import (
    compare_forecasts,
    forecast_figure,
    forecast_protocol,
    forecast_tables,
)
from vaejax.evaluation.compared_measurements import SameMeasurement, with_same_settings
from vaejax.evaluation.comparison import size_of
from vaejax.evaluation.comparison_figures import Bar, log_p_figure
from vaejax.evaluation.evaluation_section import protocol_line
from vaejax.evaluation.log_likelihood import LOG_LIKELIHOOD_MEASUREMENT
from vaejax.evaluation.section import Figure, Section, Table, cells, format_rounding
from vaejax.evaluation.statistics import paired_ratio, ratio_over_seeds, verdict

_LOG_P = "log_p", "filter", "iwae"  # exact; by particle filters; by draws of q
_NATS = (*_LOG_P, "kl")  # in nats, of each sequence
_DIFFERENCE_HEADER = [
    "difference of -log p(x), nats/frame",
    "mean",
    "+- data",
    "+- seeds",
    "method",
    "told apart?",
]


def compare_sequences(
    members: list[Compared], title: str, tuning: str = "", against: str = ""
) -> dict[str, Any]:
    """The content of comparison.json: nats per frame of each model, averaged over its seeds; and
    the difference of each from the model with the label `against`, else the first, paired over
    sequences.

    Raises:
      UserError: a run has no bound on log p(x), or runs were evaluated with different settings.
    """
    _check_same_evaluation(members)
    arrays = {
        m.label: [run.directory.read_arrays("evaluation.npz") for run in m.runs] for m in members
    }
    evaluation = members[0].runs[0].evaluation
    filters = _filters(members, arrays)
    models = []
    for member in members:
        model: dict[str, Any] = {
            "label": member.label,
            "runs": [run.directory.name for run in member.runs],
            "parameters": size_of(member.runs[0]),
            "training": training_of(member.runs),
        }
        model |= _per_frame(arrays[member.label])
        model["khat_above_0.7"] = [
            run.evaluation["summary"]["khat_above_0.7"] for run in member.runs
        ]
        if filters:
            model |= _per_frame(filters.arrays[member.label])
            model["filter"]["flagged"] = [
                summary["filter"]["flagged"] for summary in filters.summaries[member.label]
            ]
        models.append(model)
    labels = [member.label for member in members]
    base = against if against in labels else labels[0]
    pairs = [
        {"first": label, "second": base} | _difference(found[label], found[base])
        for label in labels
        if label != base
        for found in filter(None, (arrays, filters and filters.arrays))
    ]
    return {
        "title": title,
        "protocol": members[0].runs[0].data.protocol(),
        "evaluated": protocol_line(evaluation, seed=False),
        "num_samples": evaluation["settings"]["num_samples"],
        "models": models,
        "pairs": pairs,
        "filter_settings": filters and filters.settings,
        "forecasts": compare_forecasts(members, base),
        "fairness": fairness(members, tuning),
    }


def _check_same_evaluation(members: list[Compared]) -> None:
    runs = [run for member in members for run in member.runs]
    first = runs[0].evaluation
    for run in runs:
        found = run.evaluation
        if "iwae" not in found["summary"]:
            raise UserError(
                f"{run.directory.path} has no bound on log p(x) to compare: leave it out"
            )
        for name in ("num_samples", "split", "examples"):
            here, there = found["settings"][name], first["settings"][name]
            if here != there:
                raise UserError(
                    f"{run.directory.path} was evaluated with {name} {here}, "
                    f"{runs[0].directory.path} with {there}: evaluate both with the same, by "
                    f"vaejax evaluate RUN --evaluate.{name.replace('_', '-')}"
                )


def _filters(
    members: list[Compared], arrays: dict[str, list[dict[str, np.ndarray]]]
) -> SameMeasurement | None:
    """Estimates by particle filters of all runs, for the sequences with finite estimates in all;
    None if the settings differ between runs, or the split is not the evaluated one."""
    found = with_same_settings(members, LOG_LIKELIHOOD_MEASUREMENT, "filter")
    frames = arrays[members[0].label][0]["frames"]
    split = members[0].runs[0].evaluation["settings"]["split"]
    if found is None or (found.settings["split"] or "test") != split:
        return None
    values = [run["value"] for runs in found.arrays.values() for run in runs]
    n = min(len(frames), *map(len, values))
    kept = np.flatnonzero(np.all([np.isfinite(value[:n]) for value in values], axis=0))
    renamed = {
        label: [
            {
                "frames": frames[kept],
                "filter": run["value"][kept],
                "filter_std_error": run["std_error"][kept],
            }
            for run in runs
        ]
        for label, runs in found.arrays.items()
    }
    return found._replace(arrays=renamed)


def _per_frame(seeds: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Total nats / total frames, for each number that every seed has."""
    return {
        name: ratio_over_seeds(
            [arrays[name] for arrays in seeds],
            seeds[0]["frames"],
            [arrays[f"{name}_std_error"] for arrays in seeds],
        )
        for name in _NATS
        if all(name in arrays for arrays in seeds)
    }


def _difference(
    first: list[dict[str, np.ndarray]], second: list[dict[str, np.ndarray]]
) -> dict[str, Any]:
    """log p(x) under the first model minus under the second, in nats per frame: exact if both have
    it, else from particle filters or bounds, whichever the arrays have."""
    runs = (*first, *second)
    name = next(name for name in _LOG_P if all(name in arrays for arrays in runs))
    one, other = ([arrays[name] for arrays in seeds] for seeds in (first, second))
    return {"of": name} | paired_ratio(one, other, first[0]["frames"])


def sequence_comparison_section(about: dict[str, Any]) -> Section:
    """The page's section: log p(x), differences from one model, cost, forecasts, protocol."""
    models, forecasts = about["models"], about["forecasts"]
    rows = [row for model in models for row in _log_p_rows(model, about)]
    tables = [
        Table(
            ["model", "-log p(x), nats/frame", "+- MC", "+- data", "+- seeds", "what it is"], rows
        ),
        Table(_DIFFERENCE_HEADER, _differences(about)),
        Table(
            ["model", "KL(q || p), nats/frame", "+- data", "parameters", "training"], _costs(models)
        ),
    ]
    figures = [Figure("log_p", lambda: _log_p_figure(about))]
    notes = [
        "All numbers are in nats per frame: total nats / total frames. A bound is an upper bound "
        "on -log p(x) in expectation: a model with a looser bound looks worse than it is.",
        "+- MC: Monte Carlo standard error; +- data: standard error over sequences; +- seeds: over "
        "trainings. Differences are paired over the same sequences. Two models are told apart if "
        "Student's 95 % interval, from both errors as far as they are known, excludes 0.",
    ]
    if forecasts:
        tables += forecast_tables(forecasts)
        notes.append(forecast_protocol(forecasts))
        figures.append(Figure("forecast", lambda: forecast_figure(forecasts)))
    else:
        notes.append(
            "No forecasts: to add them, run vaejax forecast RUN with the same settings for each "
            "run."
        )
    return Section(about["title"], about["evaluated"], tables, notes + about["fairness"], figures)


def _log_p_figure(about: dict[str, Any]) -> tuple[Any, str]:
    """What the table of -log p(x) says: of each way to compute it the models, best first."""
    bars = []
    for name, words in _names(about).items():
        models = [m for m in about["models"] if m.get(name, {}).get("mean") is not None]
        for model in sorted(models, key=lambda model: -model[name]["mean"]):
            flagged = _flagged(model, name)
            doubt = f"; {flagged:,} estimates flagged" if flagged else ""
            bars.append(Bar(f"{model['label']}, {words}{doubt}", model[name], name == "log_p"))
    return log_p_figure(bars, "nats per frame", "a bound, at least -log p(x) in expectation"), (
        "-log p(x), in nats per frame. Flagged: estimates of single sequences, of all seeds, that "
        "are not to be believed. The models share their sequences: a difference between two is "
        "known better than the bars say; the table above has it."
    )


def _names(about: dict[str, Any]) -> dict[str, str]:
    return {"log_p": "exact", "filter": "filters", "iwae": f"IWAE-{about['num_samples']}"}


def _flagged(model: dict[str, Any], name: str) -> int:
    """How many estimates of single sequences are doubtful, over all seeds."""
    if name == "log_p":
        return 0
    return sum(model["khat_above_0.7"] if name == "iwae" else model[name]["flagged"])


def _log_p_rows(model: dict[str, Any], about: dict[str, Any]) -> list[list[str]]:
    """Rows of log p(x): exact, by particle filters, and by importance sampling, where known."""
    meaning = {"log_p": "exact", "iwae": f"IWAE-{about['num_samples']}, a bound"}
    doubtful, n = _flagged(model, "iwae"), model["iwae"]["n"] * len(model["runs"])
    if doubtful:
        meaning["iwae"] += (
            f"; k-hat above 0.7 for {doubtful} of {n}: their Monte Carlo error is unreliable"
        )
    if "filter" in model:
        settings, flagged = about["filter_settings"], _flagged(model, "filter")
        meaning["filter"] = (
            f"{settings['num_filters']} filters of {settings['num_particles']:,} particles, "
            f"{model['filter']['n']} sequences, a bound"
        )
        if flagged:
            meaning["filter"] += f"; {flagged} estimates flagged"
    rows = []
    for name in (name for name in _LOG_P if name in model):
        mean, monte_carlo, *others = cells(model[name], ("monte_carlo", "data", "seeds"), -1)
        if name == "log_p":
            monte_carlo = format_rounding(model[name]["std_error_monte_carlo"])
        rows.append([model["label"], mean, monte_carlo, *others, meaning[name]])
    return rows


def _differences(about: dict[str, Any]) -> list[list[str]]:
    names, rows = _names(about), []
    for pair in sorted(about["pairs"], key=lambda pair: -abs(pair["mean"] or 0.0)):
        words = "is ahead" if pair["of"] == "log_p" else "has the better bound"
        rows.append(
            [
                f"{pair['first']} minus {pair['second']}",
                *cells(pair, ("data", "seeds"), -1),
                names[pair["of"]],
                verdict(pair, 1, words),
            ]
        )
    return rows


def _costs(models: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            model["label"],
            *cells(model["kl"], ("data",)),
            f"{sum(model['parameters'].values()):,}",
            training_cost(model["training"]),
        ]
        for model in models
    ]
