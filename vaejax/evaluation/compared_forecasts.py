"""Comparison of forecasts, if `vaejax forecast` measured all runs with the same settings."""

from typing import Any

import numpy as np

from vaejax.evaluation.compared import Compared
from vaejax.evaluation.compared_measurements import with_same_settings
from vaejax.evaluation.comparison_figures import Lines, along_figure
from vaejax.evaluation.forecast_section import INSIDE, SCORES, along
from vaejax.evaluation.forecasts import FORECAST_MEASUREMENT
from vaejax.evaluation.section import Table, with_errors
from vaejax.evaluation.statistics import paired_ratio, ratio_over_seeds, verdict

_MODELS_OWN = ("error", "log_p")  # the scores of models; the others are scores of baselines
_STEPS = (1, 5, 10, 20, 50)


def compare_forecasts(members: list[Compared], against: str) -> dict[str, Any] | None:
    """The scores of each model at each step ahead and over all steps, and at some `steps` their
    differences from the model `against`, paired over sequences; None if the runs have no forecasts
    with the same settings."""
    found = with_same_settings(members, FORECAST_MEASUREMENT, "forecasts")
    if found is None:
        return None
    first = found.arrays[members[0].label][0]
    score = next(name for name in _MODELS_OWN if name in first)
    last = first["counts"].shape[1]
    steps = sorted({step for step in _STEPS if step < last} | {last})
    counts = _columns(first["counts"])

    def of(label: str, name: str) -> dict[str, list[np.ndarray]]:
        each = [_columns(run[name]) for run in found.arrays[label]]
        return {column: [run[column] for run in each] for column in counts}

    def averages(values: dict[str, list[np.ndarray]]) -> dict[str, Any]:
        return {column: ratio_over_seeds(values[column], counts[column]) for column in counts}

    def difference(one: str, other: str) -> dict[str, Any]:
        a, b = of(one, score), of(other, score)
        columns = [*map(str, steps), "all"]
        return {column: paired_ratio(a[column], b[column], counts[column]) for column in columns}

    labels, names = list(found.arrays), [name for name in (score, *INSIDE) if name in first]
    summary = found.summaries[labels[0]][0]
    return {
        "settings": found.settings,
        "score": score,
        "steps": steps,
        "start": summary["start"],
        "n": summary["n"],
        "models": [{"label": a} | {name: averages(of(a, name)) for name in names} for a in labels],
        "pairs": [
            {"first": label, "second": against} | difference(label, against)
            for label in labels
            if label != against
        ],
    }


def forecast_tables(about: dict[str, Any]) -> list[Table]:
    """Tables: scores by steps ahead, coverage of the intervals, differences from one model."""
    heading, sign = SCORES[about["score"]]
    columns = [*map(str, about["steps"]), "all"]
    steps_ahead = ["1 frame ahead", *columns[1:]]
    scores = [
        [model["label"], *(_cell(model[about["score"]][column], sign) for column in columns)]
        for model in about["models"]
    ]
    level = f"{100 * about['settings']['level']:g} %"
    inside = [name for name in INSIDE if name in about["models"][0]]
    coverage = [
        [model["label"], *(_cell(model[name]["all"], 1) for name in inside)]
        for model in about["models"]
    ]
    tables = [
        Table([heading, *steps_ahead], scores),
        Table([f"share inside {level}, all frames", *(INSIDE[name] for name in inside)], coverage),
    ]
    differences = [
        [
            f"{pair['first']} minus {pair['second']}",
            *(_cell(pair[column], sign) for column in columns),
            verdict(pair | pair["all"], -1 if about["score"] == "error" else 1),
        ]
        for pair in about["pairs"]
    ]
    return [*tables, Table(["difference", *columns, "told apart?"], differences)]


def forecast_figure(about: dict[str, Any]) -> tuple[Any, str]:
    """Scores and coverage of each model by steps ahead."""
    level, score = about["settings"]["level"], about["score"]
    panels = [Lines(f"{SCORES[score][0]} ({_unit(score)})", _along(about, score))]
    panels += [
        Lines(f"share inside {100 * level:g} %: {words}", _along(about, name), level)
        for name, words in INSIDE.items()
        if name in about["models"][0]
    ]
    return along_figure(panels), (
        "Forecasts by steps ahead. Bands: one standard error, over sequences and, if there are "
        "several, over trainings. Black: a calibrated model. The models share their sequences, so "
        "a difference between two is known better than the bands suggest."
    )


def _along(about: dict[str, Any], name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`along` of each model."""
    return {
        model["label"]: along([e for column, e in model[name].items() if column != "all"], name)
        for model in about["models"]
    }


def _columns(values: np.ndarray) -> dict[str, np.ndarray]:
    """The values of each sequence by step ahead, and their sum over all steps."""
    return {str(h): column for h, column in enumerate(values.T, 1)} | {"all": values.sum(axis=1)}


def _cell(entry: dict[str, Any], sign: int) -> str:
    if entry["mean"] is None:
        return "-"
    return with_errors(sign * entry["mean"], entry)


def forecast_protocol(about: dict[str, Any]) -> str:
    """A sentence on how the forecasts were made and scored."""
    settings = about["settings"]
    return (
        f"Forecasts: {about['n']} sequences of the {settings['split']} split, {about['start']} "
        f"frames seen; {settings['num_particles']:,} draws; scores in {_unit(about['score'])}; "
        "+-: standard error over sequences, then over seeds."
    )


def _unit(score: str) -> str:
    return "nats per frame" if score == "log_p" else "squared units of x, per value"
