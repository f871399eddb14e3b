"""The runner of all measurements: blocks, saving, resuming, budgets, signals."""

import dataclasses
import hashlib
import json
import time
from typing import Any, NamedTuple

from vaejax.errors import SettingError, UserError
from vaejax.evaluation.measurement import Arrays, Measurement, Part
from vaejax.evaluation.progress import Stop, progress_bar, signals
from vaejax.evaluation.run import Run
from vaejax.run_directory import RunDirectory, versions


class Measured(NamedTuple):
    """The result of a measurement: the content of its JSON file, its arrays, the stem of its
    files."""

    about: dict[str, Any]
    arrays: dict[str, Arrays]
    stem: str
    signal: int  # the signal that stopped it, or 0


def carry_out(run: Run, measurement: Measurement, settings: Any) -> Measured:
    """Measure what is not measured yet, and write the arrays and <name>/<identity>.json; for an
    `at_top` measurement, <name>.npz and <name>.json. The settings `budget` (evaluations) and
    `minutes` limit it, if it has them.

    Raises:
      UserError: the measurement is not defined for this run; or a limit stopped it before its first
        block.
      KeyboardInterrupt: a signal stopped it before its first block.
    """
    reason = measurement.undefined(run, settings)
    if reason is not None:
        raise UserError(f"{run.directory.path}: {reason}")
    directory = run.directory
    directory.file(measurement.name).mkdir(exist_ok=True)
    limits = _Limits(getattr(settings, "budget", None), getattr(settings, "minutes", None))
    arrays: dict[str, Arrays] = {}
    files: dict[str, str] = {}
    started = time.monotonic()
    with signals() as stop:
        for part in measurement.parts(run, settings):
            file = (
                f"{measurement.name}/{part.name}-{identity(measurement, part.identity, run.step)}"
            )
            found = _measure(directory, measurement, part, f"{file}.npz", limits, stop)
            if found:
                arrays[part.name], files[part.name] = found, f"{file}.npz"
            if limits.stopped_by:
                break
    if not arrays:
        if stop.signal:
            raise KeyboardInterrupt
        raise SettingError(
            f"stopped by {limits.stopped_by} before the first block was measured: give a larger "
            "value",
            str(limits.stopped_by),
        )
    try:
        summary = measurement.summarize(run, settings, arrays)
    except UserError:
        if stop.signal:  # before there was enough for a summary
            raise KeyboardInterrupt from None
        raise
    about = {
        "measurement": measurement.name,
        "version": measurement.version,
        "settings": _json(dataclasses.asdict(settings)),
        "kind": run.kind,
        "seed": run.seed,
        "parameters": run.chosen,
        "step": run.step,
        "support": run.data.support,
        "protocol": run.data.protocol(),
        "versions": versions(),
        "precision": "highest",
        "seconds": round(time.monotonic() - started, 2),
        "stopped_by": limits.stopped_by,
        "summary": summary,
    }
    stem = _write(directory, measurement, about, arrays, files)
    return Measured(about, arrays, stem, stop.signal)


class _Limits:
    """The limits of a measurement, and the limit that has stopped it."""

    def __init__(self, budget: int | None, minutes: float | None):
        self.budget = budget
        self.deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self.spent = 0
        self.stopped_by: str | None = None

    def may_spend(self, evaluations: int, stop: Stop) -> bool:
        if stop.signal:
            self.stopped_by = "a signal"
        elif self.deadline is not None and time.monotonic() > self.deadline:
            self.stopped_by = "minutes"
        elif self.budget is not None and self.spent + evaluations > self.budget:
            self.stopped_by = "budget"
        else:
            self.spent += evaluations
        return self.stopped_by is None


def _measure(
    directory: RunDirectory, measurement: Measurement, part: Part, file: str, limits, stop: Stop
) -> Arrays:
    """Measure a part: resume from the saved arrays, and save after each block."""
    arrays = directory.read_arrays(file) if directory.file(file).exists() else {}
    alone = part.name == measurement.name
    what = part.name if alone else f"{measurement.name}: {part.name}"
    with progress_bar(part.total, min(part.done(arrays), part.total), "example", what) as bar:
        for block in part.blocks(arrays, lambda cost: limits.may_spend(cost, stop)):
            arrays = block
            directory.write_arrays(file, arrays)
            bar.update(min(part.done(arrays), part.total) - bar.n)
    return arrays


def identity(measurement: Measurement, settings: dict[str, Any], step: int) -> str:
    """A hash of everything that changes a measurement, which its limits do not: eight hex
    digits."""
    settings = {k: v for k, v in settings.items() if k not in ("budget", "minutes")}
    content = json.dumps([measurement.name, measurement.version, step, settings], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def _write(directory: RunDirectory, measurement, about, arrays, files: dict[str, str]) -> str:
    """Write the JSON file, with the array file of each part in "files"; returns its stem."""
    name = measurement.name
    if not measurement.at_top:
        stem = f"{name}/{identity(measurement, about['settings'], about['step'])}"
        directory.write_json(f"{stem}.json", about | {"files": files})
        return stem
    keep = None
    if directory.file(f"{name}.json").exists() and directory.file(f"{name}.npz").exists():
        before = directory.read_json(f"{name}.json")
        if (before.get("settings"), before.get("step")) != (about["settings"], about["step"]):
            old = identity(measurement, before.get("settings", {}), before.get("step", 0))
            keep = f"{name}/earlier-{old}"
    whole = {field: values for part in arrays.values() for field, values in part.items()}
    directory.write_measurement(name, whole, about | {"files": {name: f"{name}.npz"}}, keep)
    for file in files.values():
        directory.file(file).unlink()  # all parts are in one file now
    return name


def read(directory: RunDirectory, file: str) -> tuple[dict[str, Any], dict[str, Arrays]]:
    """(content, arrays by part) of a JSON file that `carry_out` wrote."""
    about = directory.read_json(file, "measurement", "settings", "summary", "protocol", "files")
    return about, {name: directory.read_arrays(path) for name, path in about["files"].items()}


def _json(values: Any) -> Any:
    return json.loads(json.dumps(values))
