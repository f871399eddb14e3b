"""What has been run below a folder, and a run by its name: from files alone, without JAX."""

import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from vaejax.errors import UserError
from vaejax.run_directory import EXPORT, RunDirectory, flat

_FEWEST_DIGITS = 4  # of a hash, that name a run
_HEADLINE = {  # of an evaluation: its name; what its negative mean is, and by which upper bound
    "log_p": ("-log p(x)", ""),
    "iwae": ("-log p(x)", "IWAE-{K}"),
    "reconstruction": ("-log p(x|z)", ""),
}


class Result(NamedTuple):
    """The first number of an evaluation: on average over examples, or frames; `unit` says which.

    Attributes:
      bound: which upper bound on it `value` is in expectation; "" where it is the number itself.
      std_error: over examples, or, of several seeds together, over seeds.
    """

    what: str
    bound: str
    value: float
    std_error: float | None
    unit: str


class RunRecord(NamedTuple):
    """One run in a table.

    Attributes:
      name: that a person gave it, or "".
      seed: of several seeds together those, with a comma between.
      state: running, stopped, trained (and not evaluated), finished or damaged.
      step, steps: made and in all; None where it is not known.
      when: its training began.
      settings: the whole configuration but how it is evaluated, by option.
    """

    experiment: str
    name: str
    folder: Path
    seed: str
    state: str
    step: int | None = None
    steps: int | None = None
    when: str = ""
    settings: dict[str, Any] = {}  # noqa: RUF012
    result: Result | None = None


def records(root: Path) -> list[RunRecord]:
    """Every run below a folder: by experiment, then in the order in which they began. What is no
    run is passed over."""
    found = []
    for path, folders, files in os.walk(root):
        if "config.json" in files:
            folders.clear()
            record = _record(Path(path))
            found += [] if record is None else [record]
        folders.sort()
    return sorted(found, key=lambda r: (r.experiment, r.when, r.folder))


def seed_means(found: list[RunRecord]) -> list[RunRecord]:
    """Of the runs of several seeds together what seeds.json says, where it is there."""
    first = {record.folder.parent: record for record in reversed(found)}
    means = []
    for folder, record in sorted(first.items()):
        about = _read(folder / "seeds.json")
        result = _result(about)
        if result is None:
            continue
        seeds = ", ".join(map(str, about.get("seeds", ())))
        together = {"folder": folder, "seed": seeds, "state": "", "when": "", "result": result}
        means.append(record._replace(step=None, steps=None, **together))
    return means


def differing(found: list[RunRecord]) -> list[dict[str, Any]]:
    """Of each run the settings in which the runs of its experiment differ."""
    values: dict[tuple[str, str], set[str]] = {}
    for record in found:
        for option, value in record.settings.items():
            values.setdefault((record.experiment, option), set()).add(json.dumps(value))
    return [
        {
            option: value
            for option, value in record.settings.items()
            if len(values[record.experiment, option]) > 1
        }
        for record in found
    ]


def find_run(text: str, root: Path = Path("runs")) -> Path:
    """The one run that is meant, as `find_runs` finds it.

    Raises:
      UserError: none or several runs are meant.
    """
    found = find_runs(text, root)
    if len(found) > 1:
        several = ", ".join(map(str, found[:4])) + (", ..." if len(found) > 4 else "")
        raise UserError(f"{text} is {len(found)} runs: give one of {several}")
    return found[0]


def find_runs(text: str, root: Path = Path("runs")) -> list[Path]:
    """The folders of the runs that are given by their folder, or by that of their configuration,
    which has one for each seed; or, of what is below `root`, by their name or by the first digits
    of their hash.

    Raises:
      UserError: there are none.
    """
    path = Path(text)
    if (path / "config.json").exists():
        return [path]
    seeds = [file.parent for file in sorted(path.glob("seed-*/config.json"))]
    if seeds:
        return seeds

    def is_meant(record: RunRecord) -> bool:
        digits = record.folder.resolve().parent.name
        return record.name == text or (len(text) >= _FEWEST_DIGITS and digits.startswith(text))

    found = [record.folder for record in records(root) if is_meant(record)]
    if not found:
        raise UserError(
            f"{text} is no run: expected a folder <out>/<experiment>/<hash>, or seed-<n> in one; "
            f"or, below {root}, a name or the first digits of a hash (see vaejax runs)"
        )
    return found


def _record(folder: Path) -> RunRecord | None:
    """None for a config.json of something else."""
    directory = RunDirectory(folder)
    saved = _read(folder / "config.json")
    config = saved.get("config")
    if not isinstance(config, dict) or "experiment" not in saved:
        if (folder / "experiment.py").exists():
            experiment = folder.resolve().parent.parent.name
            return RunRecord(experiment, "", folder, folder.name.removeprefix("seed-"), "damaged")
        return None
    exported = _read(folder / EXPORT)
    step = exported.get("trained_steps") if exported else _newest_step(folder / "checkpoints")
    steps = _steps(config, _read(folder / "data.json"))
    started = _read(folder / "manifest.json").get("started")
    if not isinstance(started, str):
        made = (folder / "config.json").stat().st_mtime
        started = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(made))
    evaluation = _read(folder / "evaluation.json")
    trained = step is not None and steps is not None and step >= steps
    state = "finished" if evaluation else "trained"
    return RunRecord(
        experiment=str(saved["experiment"]),
        name=str(saved.get("name") or ""),
        folder=folder,
        seed=str(saved.get("seed", "")),
        state="running" if directory.is_locked() else state if trained else "stopped",
        step=step,
        steps=steps,
        when=started[:16].replace("T", " "),
        settings={
            option.replace("_", "-"): value
            for option, value in flat({k: v for k, v in config.items() if k != "evaluate"}).items()
        },
        result=_result(evaluation),
    )


def _read(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where it is missing, damaged or no object."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _newest_step(checkpoints: Path) -> int | None:
    steps = [int(path.name) for path in checkpoints.glob("*") if path.name.isdecimal()]
    return max(steps, default=None)


def _steps(config: dict[str, Any], data: dict[str, Any]) -> int | None:
    """How many steps a configuration trains for."""
    try:
        train = config["train"]
        return train["steps"] or train["epochs"] * (data["num_train"] // train["batch_size"])
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def _result(about: dict[str, Any]) -> Result | None:
    """The headline number of evaluation.json, or of seeds.json; None where it has none."""
    try:
        entries = _of_seeds(about) if "rows" in about else _of_examples(about)
        name = next(name for name in _HEADLINE if name in entries)
        value, error, unit = entries[name]
        what, bound = _HEADLINE[name]
        bound = bound.format(K=about["settings"].get("num_samples"))
        return Result(what, bound, float(value), None if error is None else float(error), unit)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        return None


def _of_examples(evaluation: dict[str, Any]) -> dict[str, tuple[Any, Any, str]]:
    """The negative mean, its error and its unit, by name."""
    summary = evaluation["summary"]
    of_frames = "per_frame" in summary
    unit = "nats per frame" if of_frames else "nats"
    entries = summary["per_frame"] if of_frames else summary
    return {
        name: (-entries[name]["mean"], entries[name]["std_error_data"], unit)
        for name in _HEADLINE
        if name in entries
    }


def _of_seeds(about: dict[str, Any]) -> dict[str, tuple[Any, Any, str]]:
    """The same over seeds: of several rows of one name the first."""
    return {
        row["name"]: (row["mean"], row["std_error_seeds"], row["unit"].split(";")[0])
        for row in reversed(about["rows"])
    }
