"""`vaejax compare`, and `vaejax run` of a file that compares experiments."""

import dataclasses
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaejax import report as reports
from vaejax.arguments import parse, parse_known
from vaejax.commands.common import COMPARE, Loaded, load_run, stream, write_report
from vaejax.commands.evaluate import measure_run
from vaejax.commands.train import finish, set_up
from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.evaluation import Compare
from vaejax.evaluation.comparison import measure_model, reference_line, values_themselves
from vaejax.evaluation.features import Features, fit_features
from vaejax.evaluation.generators import Model
from vaejax.experiment import Comparison, ExperimentFile, find, to_json
from vaejax.experiment import load as load_experiment
from vaejax.run_directory import RunDirectory, flat


class Compared(NamedTuple):
    """One model of a comparison: its runs, which differ in their seed alone."""

    label: str
    runs: list[Loaded]


def compare(arguments: list[str]) -> int:
    """Put trained runs side by side."""
    paths = []
    while arguments and not arguments[0].startswith("-"):
        paths.append(Path(arguments[0]))
        arguments = arguments[1:]
    if len(paths) < 2 and arguments not in (["-h"], ["--help"]):
        raise UserError(
            "vaejax compare expects two or more runs first: folders "
            f"<out>/<experiment>/<hash>, or seed-<n> in one; got {len(paths)}"
        )

    @dataclasses.dataclass(frozen=True)
    class Options(Compare):
        out: Path = Path("comparison")
        """Folder for comparison.html and comparison.json."""
        allow_different: bool = False
        """Runs on different data or splits, in a table and a page of their own each."""

    options = parse(Options, arguments, prog="vaejax compare RUN RUN ...", default=Options())
    settings = Compare(**{f.name: getattr(options, f.name) for f in dataclasses.fields(Compare)})
    groups = by_protocol(_labelled(_seeds_of(paths)))
    if len(groups) > 1 and not options.allow_different:
        raise UserError(_what_differs(groups))
    for member in (m for group in groups for m in group):
        _check_trained(member)
    for index, members in enumerate(groups):
        name = "comparison" if len(groups) == 1 else f"comparison-{index + 1}"
        _compare(members, settings, options.out, name, "Models side by side")
    return 0


def run_comparison(file: ExperimentFile, comparison: Comparison, arguments: list[str]) -> int:
    """Train every member that is not trained, and put them side by side."""

    @dataclasses.dataclass(frozen=True)
    class Options:
        compare: Compare
        seeds: tuple[int, ...] = (0,)
        """One run each, of every member."""
        out: Path = Path("runs")
        """Folder for the run directories; the page is in <out>/<comparison>/."""

    options, shared = parse_known(
        Options,
        arguments,
        prog=f"vaejax run {file.name}",
        default=Options(comparison.settings),
    )
    seeds = ["--seeds", *map(str, options.seeds), "--out", str(options.out)]
    setups = [
        (
            member,
            set_up(
                "run",
                load_experiment(find(member.experiment)),
                [*member.arguments, *shared, *seeds],
            ),
        )
        for member in comparison.members
    ]
    protocols = by_protocol([Compared(m.label, setup.loaded()) for m, setup in setups])
    if len(protocols) > 1:
        raise UserError(_what_differs(protocols))
    members = []
    for member, setup in setups:
        print(f"{member.label}: {member.experiment}", file=sys.stderr)
        code = finish(setup)
        if code:
            return code
        members.append(Compared(member.label, setup.loaded()))
    title = (file.module.__doc__ or file.name).strip().splitlines()[0]
    out = options.out / file.name
    _compare(members, options.compare, out, "comparison", title, comparison.tuning)
    return 0


def _check_trained(member: Compared) -> None:
    """Refuse a run that was stopped on its way."""
    for run in member.runs:
        total = run.config.train.total_steps(len(run.dataset.train))
        done = run.trained_steps() or 0
        if done < total:
            raise UserError(
                f"{run.directory.path} is trained for {done:,} of {total:,} steps: the command "
                "that began it goes on where it stopped"
            )


def _seeds_of(paths: list[Path]) -> list[list[Loaded]]:
    """The runs of each folder given: seed-<n> folders of one experiment and hash together."""
    found: dict[tuple, dict[str, Path]] = {}
    for path in paths:
        seeds = [path] if (path / "config.json").exists() else sorted(path.glob("seed-*"))
        if not seeds:
            raise UserError(
                f"{path} is no run: expected a folder <out>/<experiment>/<hash>, or seed-<n> in one"
            )
        for seed in map(Path.resolve, seeds):
            # The same experiment and hash is the same model, wherever its seeds lie; a seed that
            # is there twice is another run of it.
            copy = 0
            while found.setdefault((*seed.parts[-3:-1], copy), {}).get(seed.name, seed) != seed:
                copy += 1
            found[(*seed.parts[-3:-1], copy)][seed.name] = seed
    return [
        [load_run([str(seed)], "compare")[0] for seed in seeds.values()]
        for seeds in found.values()
        if seeds
    ]


def _labelled(groups: list[list[Loaded]]) -> list[Compared]:
    """Each called by its experiment; by its hash and a number too where that is not enough."""
    names = [runs[0].file.name for runs in groups]
    members: list[Compared] = []
    for name, runs in zip(names, groups, strict=True):
        label = name
        if names.count(name) > 1:
            label = f"{name} {runs[0].directory.path.resolve().parent.name}"
        copies = sum(member.label.split(" (")[0] == label for member in members)
        members.append(Compared(f"{label} ({copies + 1})" if copies else label, runs))
    return members


def by_protocol(members: list[Compared]) -> list[list[Compared]]:
    """Those whose numbers can be compared, together."""
    groups: dict[str, list[Compared]] = {}
    for member in members:
        groups.setdefault(json.dumps(member.runs[0].dataset.protocol()), []).append(member)
    return list(groups.values())


def _what_differs(groups: list[list[Compared]]) -> str:
    first, second = (group[0] for group in groups[:2])
    here, there = (member.runs[0].dataset.protocol() for member in (first, second))
    differing = [
        f"{name} {here[name]} in {first.label}, {there[name]} in {second.label}"
        for name in here
        if here[name] != there[name]
    ]
    return (
        f"these runs cannot be compared: {'; '.join(differing)}. Train them alike (--data.*), or "
        "vaejax compare --allow-different shows them apart"
    )


def _compare(
    members: list[Compared],
    settings: Compare,
    out: Path,
    name: str,
    title: str,
    tuning: str = "",
) -> None:
    """Measure what is not measured, and write and print the comparison."""
    dataset = members[0].runs[0].dataset
    features = _features(dataset, settings)
    models, pictures, log_p = [], {}, {}
    for member in members:
        measured = [_measured(run, settings, features, member.label) for run in member.runs]
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
        "fairness": _fairness(members, tuning),
        "models": models,
    }
    about["findings"] = reports.findings(models, log_p)
    out.mkdir(parents=True, exist_ok=True)
    folder = RunDirectory(out)
    folder.write_json(f"{name}.json", about)
    folder.write_text(f"{name}.html", reports.comparison_page(about, pictures))
    reports.print_comparison(about)
    print(f"  {folder.file(f'{name}.html')}\n  {folder.file(f'{name}.json')}")


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
        raise UserError(f"no classifier for {dataset.name}: {error}") from error


def _measured(
    run: Loaded, settings: Compare, features: Features, label: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays, summary) of one run, kept in its folder."""
    directory = run.directory
    if not directory.is_evaluated():
        measure_run(run, run.config.evaluate)
        write_report(directory)
    params, step, _ = run.params()
    stem = f"compare/{settings.identity(step)}"
    if directory.file(f"{stem}.json").exists():
        return directory.read_arrays(f"{stem}.npz"), directory.read_json(f"{stem}.json", "kind")
    directory.file("compare").mkdir(exist_ok=True)
    split = run.dataset.examples
    experiment = run.experiment
    model = Model(
        experiment.generative,
        experiment.inference,
        experiment.corrupt,
        params,
        split("train"),
        split("validation"),
        split("test"),
    )
    try:
        arrays, summary = measure_model(
            stream(run.seed, COMPARE),
            model,
            run.dataset.labels,
            features,
            settings,
            progress=lambda what: print(f"{label}, seed {run.seed}: {what}", file=sys.stderr),
        )
    except ValueError as error:  # of data that the measures are not for
        raise UserError(f"{directory.path} cannot be measured: {error}") from error
    directory.write_arrays(f"{stem}.npz", arrays)
    directory.write_json(f"{stem}.json", summary)
    return arrays, summary


def _summary(member: Compared, measured: list) -> dict[str, Any]:
    """Of all seeds of one model."""
    summaries = [summary for _, summary in measured]
    first = summaries[0]
    about: dict[str, Any] = {
        "label": member.label,
        "experiment": member.runs[0].file.name,
        "runs": [run.directory.name for run in member.runs],
        "kind": first["kind"],
        "parts": first["parts"],
        "parameters": first["parameters"],
        "training": _training(member.runs),
        "generators": {},
    }
    for name in ("squared_error", "reconstruction"):
        if name in first:
            about[name] = reports.over_seeds([s[name] for s in summaries])
    if "probe" in first:
        about["probe"] = reports.over_seeds([s["probe"] for s in summaries], "accuracy")
    for name, found in first["generators"].items():
        ways = [s["generators"][name] for s in summaries]
        about["generators"][name] = generator = {
            "how": found["how"],
            "quality": {
                measure: reports.over_seeds([w["quality"][measure] for w in ways], "value")
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
                **reports.log_p_over_seeds(
                    [a[f"{name}/log_p"] for a in arrays],
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


def _training(runs: list[Loaded]) -> dict[str, Any]:
    """Steps of each seed; seconds of them all, as their metrics say."""
    seconds = set()
    for run in runs:
        spent, before = 0.0, 0
        for line in run.directory.metrics():
            if line.get("steps_per_second"):
                spent += (line["step"] - before) / line["steps_per_second"]
                before = line["step"]
        seconds.add(round(spent, 1))
    train = runs[0].config.train
    return {
        "steps": train.total_steps(len(runs[0].dataset.train)),
        "seeds": len(runs),
        # Seeds trained together have the same metrics: they shared the time.
        "seconds": sum(seconds) or None,
    }


def _fairness(members: list[Compared], tuning: str) -> list[str]:
    """What of networks and training is the same for all, and where a model differs from most."""
    settings = {}
    for member in members:
        config = to_json(member.runs[0].config)
        settings[member.label] = {
            name: json.dumps(value)
            for name, value in flat(config).items()
            if name.split(".")[0] not in ("data", "evaluate")
        }
    usual = {
        name: Counter(found[name] for found in settings.values() if name in found).most_common(1)[0]
        for name in dict.fromkeys(name for found in settings.values() for name in found)
    }
    usual = {name: (value, count) for name, (value, count) in usual.items() if count > 1}
    lines = [
        "one split for all; of each run the parameters best on the validation split where there is "
        "one, else the last; which model is called best is read off the examples measured",
        *([tuning] if tuning else []),
        f"the usual: {', '.join(f'{name} {value}' for name, (value, _) in usual.items())}",
    ]
    for label, found in settings.items():
        other = [
            f"{name} {value}"
            for name, value in found.items()
            if name not in usual or usual[name][0] != value
        ]
        if other:
            lines.append(f"{label}, unlike that: {', '.join(other)}")
    return lines
