"""Comparison of trained models, which are all measured with the same settings."""

import dataclasses
import json
import sys
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.evaluation.comparison import (
    Compare,
    measure_model,
    reference_line,
    values_themselves,
)
from vaejax.evaluation.features import Features, fit_features
from vaejax.evaluation.run import Run
from vaejax.evaluation.statistics import over_seeds, ratio_over_seeds
from vaejax.evaluation.streams import COMPARE
from vaejax.run_directory import flat

_NAMED, _LETTERS = 3, 20  # differences that a message names, and letters of each value


class Compared(NamedTuple):
    """One model of a comparison: its label, and its runs, which differ only in their seed."""

    label: str
    runs: list[Run]


def by_protocol(members: list[Compared]) -> list[list[Compared]]:
    """Group the models by the data and the splits: numbers can be compared within a group."""
    groups: dict[str, list[Compared]] = {}
    for member in members:
        groups.setdefault(json.dumps(member.runs[0].data.protocol()), []).append(member)
    return list(groups.values())


def what_differs(groups: list[list[Compared]]) -> str:
    """Why the first two groups cannot be compared, in one line."""
    first, second = (group[0] for group in groups[:2])
    here, there = (member.runs[0].data.protocol() for member in (first, second))
    differing = [
        f"{name} {_short(here.get(name))} and {_short(there.get(name))}"
        for name in here | there
        if here.get(name) != there.get(name)
    ]
    more = f"; {len(differing) - _NAMED} more differ" if len(differing) > _NAMED else ""
    return (
        f"{first.label} and {second.label} cannot be compared: "
        f"{'; '.join(differing[:_NAMED])}{more}"
    )


def _short(value: Any) -> str:
    """A value of a protocol in a few words."""
    words = "none" if value is None else str(value)
    return words if len(words) <= _LETTERS else f"{words[: _LETTERS - 3]}..."


def compare_models(
    members: list[Compared], settings: Compare, title: str, tuning: str = ""
) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]], dict[tuple[str, str], list]]:
    """Measure all models, except what is already measured.

    Returns (the content of comparison.json without its findings, pictures by label, log p(x) of the
    same examples in nats by label and generator, an array for each seed).
    """
    dataset = members[0].runs[0].dataset
    features = _features(dataset, settings)
    if all(member.runs[0].kind != "point mass" for member in members):
        # Without an autoencoder these densities are a control of nothing.
        settings = dataclasses.replace(settings, ex_post=())
    models, pictures, log_p = [], {}, {}
    for number, member in enumerate(members, 1):
        what = f"model {number} of {len(members)}: {member.label}"
        # With the functions of one run, each program is compiled once for all seeds.
        p, q = member.runs[0].generative, member.runs[0].inference
        runs = [dataclasses.replace(run, generative=p, inference=q) for run in member.runs]
        measured = [_measured(run, settings, features, what) for run in runs]
        models.append(_summary(member, measured))
        pictures[member.label] = measured[0][0]
        for generator in models[-1]["generators"]:
            if f"{generator}/log_p" in measured[0][0]:
                log_p[member.label, generator] = [a[f"{generator}/log_p"] for a, _ in measured]
    test = len(dataset.test)
    about: dict[str, Any] = {
        "title": title,
        "protocol": dataset.protocol(),
        "seeds": sorted({run.seed for member in members for run in member.runs}),
        "settings": dataclasses.asdict(settings),
        "examples": min(settings.examples, test),
        "samples": min(settings.samples, test),
        "dimensions": int(np.prod(dataset.shape))
        if dataset.support in ("binary", "grey")
        else None,
        "features": features.description,
        "reference": reference_line(
            dataset.split("train"), dataset.split("test"), features, settings
        ),
        "fairness": fairness(members, tuning),
        "models": models,
    }
    return about, pictures, log_p


def _features(dataset: Dataset, settings: Compare) -> Features:
    labels = dataset.labels
    if not {"train", "test"} <= labels.keys():
        return values_themselves()
    try:
        return fit_features(
            dataset.split("train"),
            labels["train"],
            dataset.split("test"),
            labels["test"],
            seed=settings.seed,
        )
    except ValueError as error:
        raise UserError(f"cannot train a classifier on {dataset.name}: {error}") from error


def _measured(
    run: Run, settings: Compare, features: Features, model: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays, summary) of one run; they are saved in its folder."""
    directory = run.directory
    stem = f"compare/{settings.identity(run.step)}"
    if directory.file(f"{stem}.json").exists():
        return directory.read_arrays(f"{stem}.npz"), directory.read_json(f"{stem}.json", "kind")
    directory.file("compare").mkdir(exist_ok=True)
    try:
        arrays, summary = measure_model(
            run.stream(COMPARE),
            run,
            features,
            settings,
            progress=lambda what: print(f"{model}, seed {run.seed}: {what}", file=sys.stderr),
        )
    except ValueError as error:  # the data do not suit a measure
        raise UserError(f"{directory.path} cannot be measured: {error}") from error
    directory.write_arrays(f"{stem}.npz", arrays)
    directory.write_json(f"{stem}.json", summary)
    return arrays, summary


def _summary(member: Compared, measured: list) -> dict[str, Any]:
    """The averages over all seeds of one model."""
    summaries = [summary for _, summary in measured]
    first = summaries[0]
    about: dict[str, Any] = {
        "label": member.label,
        "experiment": member.runs[0].name,
        "runs": [run.directory.name for run in member.runs],
        "kind": first["kind"],
        "parts": first["parts"],
        "parameters": first["parameters"],
        "training": training_of(member.runs),
        "generators": {},
    }
    for name in ("squared_error", "reconstruction"):
        if name in first:
            about[name] = over_seeds([s[name] for s in summaries])
    if "probe" in first:
        about["probe"] = over_seeds([s["probe"] for s in summaries], "accuracy")
    for name, found in first["generators"].items():
        ways = [s["generators"][name] for s in summaries]
        about["generators"][name] = generator = {
            "how": found["how"],
            "quality": {
                measure: over_seeds([w["quality"][measure] for w in ways], "value")
                for measure in found["quality"]
            },
            "log_p": found["log_p"],
        }
        if "mixing" in found:
            generator["mixing"] = found["mixing"]
        if found["log_p"]["kind"] != "not defined":
            arrays = [a for a, _ in measured]
            generator["log_p"] = {
                "kind": found["log_p"]["kind"],
                **ratio_over_seeds(
                    [a[f"{name}/log_p"] for a in arrays],
                    np.ones(len(arrays[0][f"{name}/log_p"])),
                    [
                        a.get(f"{name}/log_p_std_error", np.zeros_like(a[f"{name}/log_p"]))
                        for a in arrays
                    ],
                ),
                "each_seed": [w["log_p"] for w in ways],
            }
            if found["log_p"]["kind"] == "estimated":
                looser = [w["log_p"]["mean"] - w["log_p"]["importance"]["mean"] for w in ways]
                generator["log_p"]["importance_looser_by"] = float(np.mean(looser))
    return about


def training_of(runs: list[Run]) -> dict[str, Any]:
    """Training steps of each seed, and seconds for all seeds, from their metrics. Seeds that one
    process trained together count once."""
    seconds: dict[str, float] = {}
    for run in runs:
        spent, before = 0.0, 0
        for line in run.directory.metrics():
            if line.get("steps_per_second"):
                spent += (line["step"] - before) / line["steps_per_second"]
                before = line["step"]
        manifest = run.directory.read_json("manifest.json")
        process = json.dumps([manifest.get(name) for name in ("started", "command", "process")])
        seconds[process] = max(spent, seconds.get(process, 0.0))
    return {
        "steps": runs[0].config.train.total_steps(runs[0].data.num_train),
        "seeds": len(runs),
        "seconds": round(sum(seconds.values()), 1) or None,
    }


def training_cost(training: dict[str, Any]) -> str:
    """The result of `training_of` in words."""
    steps, seeds, seconds = training["steps"], training["seeds"], training["seconds"]
    if not seconds:
        return f"{steps:,} steps"
    of = f" for {seeds} seeds" if seeds > 1 else ""
    return f"{steps:,} steps, {seconds:.0f} s{of} ({steps * seeds / seconds:.0f} steps/s)"


def fairness(members: list[Compared], tuning: str) -> list[str]:
    """Lines that say which settings are common to the models, and which differ."""
    lines = [
        "all models use the same splits; each run uses its parameters that were best on the "
        "validation split if there is one, else the last ones; the model that is called best was "
        "chosen on the measured examples themselves",
        *([tuning] if tuning else []),
    ]
    if len(members) == 1:
        return [*lines, "one model, whose runs differ only in their seed"]
    settings = {}
    for member in members:
        config = dataclasses.asdict(member.runs[0].config)
        settings[member.label] = {
            name: json.dumps(value, default=str)
            for name, value in flat(config).items()
            if name.split(".")[0] not in ("data", "evaluate")
        }
    usual = {
        name: Counter(found[name] for found in settings.values() if name in found).most_common(1)[0]
        for name in dict.fromkeys(name for found in settings.values() for name in found)
    }
    usual = {name: (value, count) for name, (value, count) in usual.items() if count > 1}
    same = ", ".join(f"{name} {value}" for name, (value, _) in usual.items())
    lines.append(f"settings that most models share: {same}")
    for label, found in settings.items():
        other = [
            f"{name} {value}"
            for name, value in found.items()
            if name not in usual or usual[name][0] != value
        ]
        if other:
            lines.append(f"{label} differs in: {', '.join(other)}")
    return lines
