"""Forecasts of models side by side: only of measurements with the same settings, paired by
sequence."""

from types import SimpleNamespace

import numpy as np
import pytest

from vaejax.evaluation.compared import Compared
from vaejax.evaluation.compared_forecasts import (
    compare_forecasts,
    forecast_figure,
    forecast_tables,
)
from vaejax.evaluation.forecasts import FORECAST_MEASUREMENT
from vaejax.run_directory import RunDirectory

STEPS = 3
VERSION = FORECAST_MEASUREMENT.version


def member(folder, label, better=0.0, particles=100, stopped=None, version=VERSION):
    """A run whose forecasts of 40 sequences are on file; one frame in four does not count."""
    directory = RunDirectory(folder / label)
    directory.file("forecast").mkdir(parents=True)
    rng = np.random.default_rng(0)
    counts = rng.random((40, STEPS)) < 0.75
    score = rng.normal(-20.0, 5.0, (40, STEPS)) + better
    arrays = {"counts": counts, "log_p": score * counts, "inside_lit": 0.5 * counts}
    directory.write_arrays("forecast/forecasts-1.npz", arrays)
    settings = {"split": "test", "num_particles": particles, "level": 0.9}
    summary = {"start": 5, "n": 40}
    about = {"settings": settings, "summary": summary, "stopped_by": stopped}
    about["version"] = version
    directory.write_json(
        "forecast/1.json", about | {"files": {"forecasts": "forecast/forecasts-1.npz"}}
    )
    run = SimpleNamespace(directory=directory)
    return Compared(label, [run]), arrays


def test_the_difference_is_of_the_frames_that_count(tmp_path):
    (a, arrays), (b, _) = member(tmp_path, "a"), member(tmp_path, "b", better=0.5)
    about = compare_forecasts([a, b], "a")
    pair = about["pairs"][0]
    assert pair["all"]["mean"] == pytest.approx(0.5)
    assert pair["3"]["mean"] == pytest.approx(0.5)
    first = about["models"][0]["log_p"]
    counts = arrays["counts"]
    assert first["all"]["mean"] == pytest.approx(arrays["log_p"].sum() / counts.sum())
    assert first["1"]["mean"] == pytest.approx(arrays["log_p"][:, 0].sum() / counts[:, 0].sum())
    scores, holds, differences = forecast_tables(about)
    assert differences.rows[0][
        -1
    ] == "yes: b is ahead, for these two trainings only" and differences.rows[0][-2].startswith(
        "-0.500"
    )
    assert holds.rows[0][1].startswith("0.500")
    assert [len(row) for row in scores.rows] == [len(scores.header)] * 2


def test_lines_are_the_means_of_each_step_and_bands_their_errors(tmp_path):
    (a, arrays), (b, _) = member(tmp_path, "a"), member(tmp_path, "b", better=0.5)
    figure, _ = forecast_figure(compare_forecasts([a, b], "a"))
    scores, inside = figure.axes
    counts = arrays["counts"]
    mean = -arrays["log_p"].sum(axis=0) / counts.sum(axis=0)
    first, second = scores.get_lines()
    assert first.get_ydata() == pytest.approx(mean)
    assert second.get_ydata() == pytest.approx(mean - 0.5)
    assert first.get_linestyle() != second.get_linestyle()  # where they are the same, both are seen
    spread = [np.std(arrays["log_p"][kept, i], ddof=1) for i, kept in enumerate(counts.T)]
    ends = scores.collections[0].get_paths()[0].vertices
    for step, (centre, sd, n) in enumerate(zip(mean, spread, counts.sum(axis=0), strict=True), 1):
        band = ends[ends[:, 0] == step, 1]
        assert [band.min(), band.max()] == pytest.approx(
            [centre - sd / n**0.5, centre + sd / n**0.5]
        )
    target, *shares = inside.get_lines()
    assert list(target.get_ydata()) == [0.9, 0.9]
    assert [list(line.get_ydata()) for line in shares] == [[0.5] * STEPS] * 2


def test_only_what_was_measured_alike_and_to_the_end_is_compared(tmp_path):
    a, _ = member(tmp_path, "a")
    other, _ = member(tmp_path, "other", particles=200)
    cut, _ = member(tmp_path, "cut", stopped="SIGTERM")
    assert compare_forecasts([a, other], "a") is None
    assert compare_forecasts([a, cut], "a") is None
    old, _ = member(tmp_path, "old", version=VERSION - 1)
    assert compare_forecasts([a, old], "a") is None
    assert compare_forecasts([old, old], "old") is None
