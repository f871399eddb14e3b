"""Measurements that all runs of a comparison have with the same settings."""

from typing import Any, NamedTuple

import numpy as np

from vaejax.evaluation.compared import Compared
from vaejax.evaluation.measurement import Measurement
from vaejax.run_directory import RunDirectory


class SameMeasurement(NamedTuple):
    """One measurement of every run, with the same settings.

    Attributes:
      settings: the settings of the measurement.
      summaries: label -> the summary of each run.
      arrays: label -> the arrays of each run.
    """

    settings: dict[str, Any]
    summaries: dict[str, list[dict[str, Any]]]
    arrays: dict[str, list[dict[str, np.ndarray]]]


def with_same_settings(
    members: list[Compared], measurement: Measurement, part: str
) -> SameMeasurement | None:
    """The measurement that all runs have with the same settings, with the arrays of its `part`. Of
    several the one that is newest in the first run; None if there is none."""
    first, folder = members[0].runs[0].directory, measurement.name
    files = sorted(first.file(folder).glob("*.json"), key=lambda file: -file.stat().st_mtime)
    for file in files:
        settings = first.read_json(f"{folder}/{file.name}", "settings")["settings"]
        found = {
            m.label: [_measured(run.directory, measurement, part, settings) for run in m.runs]
            for m in members
        }
        runs = {label: [run for run in of if run] for label, of in found.items()}
        if all(len(runs[m.label]) == len(m.runs) for m in members):
            summaries = {label: [summary for summary, _ in of] for label, of in runs.items()}
            arrays = {label: [values for _, values in of] for label, of in runs.items()}
            return SameMeasurement(settings, summaries, arrays)
    return None


def _measured(
    directory: RunDirectory, measurement: Measurement, part: str, settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    for file in directory.file(measurement.name).glob("*.json"):
        about = directory.read_json(
            f"{measurement.name}/{file.name}", "settings", "files", "summary"
        )
        whole = about.get("stopped_by") is None
        usable = whole and about.get("version") == measurement.version
        if usable and about["settings"] == settings and part in about["files"]:
            return about["summary"], directory.read_arrays(about["files"][part])
    return None
