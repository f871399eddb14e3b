"""The list of all runs below a folder, and finding a run by its name; from files, without JAX."""

import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from vaejax.errors import UserError
from vaejax.run_directory import EXPORT, RunDirectory, flat

_FEWEST_DIGITS = 4  # of a hash, to name a run
_HEADLINE = {  # name in an evaluation: what its negative mean is, and which upper bound, if one
    "log_p": ("-log p(x)", ""),
    "iwae": ("-log p(x)", "IWAE-{K}"),
    "reconstruction": ("-log p(x|z)", ""),
}


class Result(NamedTuple):
    """The main number of an evaluation, averaged over examples or frames; `unit` says which.

    Attributes:
      what: the name of the number, such as -log p(x).
      bound: the upper bound on it, in expectation, that `value` is; "" if `value` is the number.
      std_error: over examples; for several seeds together, over seeds.
    """

    what: str
    bound: str
    value: float
    std_error: float | None
    unit: str


class RunRecord(NamedTuple):
    """One run in the list of runs, or the average over several seeds.

    Attributes:
      name: the name that a person gave it, or "".
      seed: the seed; for an average, all its seeds, separated by commas.
      state: running, stopped, trained (but not evaluated), finished or damaged; "" for an average.
      step: the number of steps made; None if not known.
      steps: the number of steps in all; None if not known.
      when: the time at which training began.
      settings: the configuration without `evaluate`, by option.
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
    """Every run below a folder, sorted by experiment and then by the time at which it began. Other
    folders are ignored."""
    found = []
    for path, folders, files in os.walk(root):
        if "config.json" in files:
            folders.clear()
            record = _record(Path(path))
            found += [] if record is None else [record]
        folders.sort()
    return sorted(found, key=lambda r: (r.experiment, r.when, r.folder))


def seed_means(found: list[RunRecord]) -> list[RunRecord]:
    """The averages over seeds: one record for each seeds.json beside these runs."""
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
    """For each run, the settings that are not equal in all runs of its experiment."""
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
    """The folder of the one run that `text` means; see `find_runs`.

    Raises:
      UserError: `text` means no run, or several.
    """
    found = find_runs(text, root)
    if len(found) > 1:
        raise _several(text, found)
    return found[0]


def find_seeds(text: str) -> list[Path]:
    """The folders of the runs, one for each seed, of the one configuration that `text` means; see
    `find_runs`.

    Raises:
      UserError: `text` means no run, or runs of several configurations.
    """
    found = find_runs(text)
    if len({folder.resolve().parent for folder in found}) > 1:
        raise _several(text, found)
    return found


def _several(text: str, found: list[Path]) -> UserError:
    shown = ", ".join(map(str, found[:4])) + (", ..." if len(found) > 4 else "")
    return UserError(f"{text} means {len(found)} runs: give one of {shown}")


def find_runs(text: str, root: Path = Path("runs")) -> list[Path]:
    """The folders of the runs that `text` means: a run's folder; the folder of a configuration,
    which has one run for each seed; or, for runs below `root`, a name or the first digits of a
    hash.

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
            f"there is no run {text}: expected a folder <out>/<experiment>/<hash>, or seed-<n> in "
            f"one; or, for a run below {root}, its name or the first digits of its hash; see "
            "vaejax runs"
        )
    return found


def _record(folder: Path) -> RunRecord | None:
    """The record of a folder with a config.json; None if it is not a run."""
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
    """The content of a JSON file; {} if it is missing, damaged or not an object."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _newest_step(checkpoints: Path) -> int | None:
    steps = [int(path.name) for path in checkpoints.glob("*") if path.name.isdecimal()]
    return max(steps, default=None)


def _steps(config: dict[str, Any], data: dict[str, Any]) -> int | None:
    """The number of steps for which a configuration trains."""
    try:
        train = config["train"]
        return train["steps"] or train["epochs"] * (data["num_train"] // train["batch_size"])
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def _result(about: dict[str, Any]) -> Result | None:
    """The main number of evaluation.json or seeds.json; None if there is none."""
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
    """{name: (negative mean, its standard error, unit)} of evaluation.json."""
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
    """The same of seeds.json; the first of several rows with one name."""
    return {
        row["name"]: (row["mean"], row["std_error_seeds"], row["unit"].split(";")[0])
        for row in reversed(about["rows"])
    }
