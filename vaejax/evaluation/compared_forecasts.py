"""Forecasts of trained models side by side, where `vaejax forecast` measured all runs alike."""

from typing import Any

import numpy as np

from vaejax.evaluation.compared import Compared
from vaejax.evaluation.compared_measurements import measured_alike
from vaejax.evaluation.forecast_section import INSIDE, SCORES
from vaejax.evaluation.forecasts import FORECAST_MEASUREMENT
from vaejax.evaluation.section import Table, with_errors
from vaejax.evaluation.statistics import paired_ratio, ratio_over_seeds, verdict

_MODELS_OWN = ("error", "log_p")  # of the scores; the others are of guesses that know no model
_STEPS = (1, 5, 10, 20, 50)


def compare_forecasts(members: list[Compared], against: str) -> dict[str, Any] | None:
    """Of each model its scores at some steps ahead and over all, and their differences from the
    model `against`, paired over sequences; None where the runs have no forecasts measured
    alike."""
    found = measured_alike(members, FORECAST_MEASUREMENT, "forecasts")
    if found is None:
        return None
    first = found.arrays[members[0].label][0]
    score = next(name for name in _MODELS_OWN if name in first)
    last = first["counts"].shape[1]
    steps = sorted({step for step in _STEPS if step < last} | {last})
    counts = _columns(first["counts"], steps)

    def of(label: str, name: str) -> dict[str, list[np.ndarray]]:
        each = [_columns(run[name], steps) for run in found.arrays[label]]
        return {column: [run[column] for run in each] for column in counts}

    def averages(values: dict[str, list[np.ndarray]]) -> dict[str, Any]:
        return {column: ratio_over_seeds(values[column], counts[column]) for column in counts}

    def difference(one: str, other: str) -> dict[str, Any]:
        a, b = of(one, score), of(other, score)
        return {column: paired_ratio(a[column], b[column], counts[column]) for column in counts}

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
    """Scores by steps ahead, how often the intervals hold, and the differences from one model."""
    heading, sign = SCORES[about["score"]]
    columns = [*map(str, about["steps"]), "all"]
    steps_ahead = ["1 frame ahead", *columns[1:]]
    scores = [
        [model["label"], *(_cell(model[about["score"]][column], sign) for column in columns)]
        for model in about["models"]
    ]
    level = f"{100 * about['settings']['level']:g} %"
    inside = [name for name in INSIDE if name in about["models"][0]]
    holds = [
        [model["label"], *(_cell(model[name]["all"], 1) for name in inside)]
        for model in about["models"]
    ]
    tables = [
        Table([heading, *steps_ahead], scores),
        Table([f"inside {level}, all frames", *(INSIDE[name] for name in inside)], holds),
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


def _columns(values: np.ndarray, steps: list[int]) -> dict[str, np.ndarray]:
    """Of each sequence, by step ahead, and the sum over all."""
    return {str(h): values[:, h - 1] for h in steps} | {"all": values.sum(axis=1)}


def _cell(entry: dict[str, Any], sign: int) -> str:
    if entry["mean"] is None:
        return "-"
    return with_errors(sign * entry["mean"], entry)


def forecast_protocol(about: dict[str, Any]) -> str:
    """What the forecasts' numbers are."""
    settings = about["settings"]
    unit = "nats a frame" if about["score"] == "log_p" else "a value, in the units of x squared"
    return (
        f"Forecasts: {about['n']} sequences of the {settings['split']} split, {about['start']} "
        f"frames seen; {settings['num_particles']:,} draws; scores in {unit}; +- is over "
        "sequences, then over seeds."
    )
