"""`vaejax compare`: which runs it evaluates first."""

from types import SimpleNamespace

import pytest

from vaejax.commands import compare
from vaejax.evaluation import MEASUREMENTS, Section
from vaejax.evaluation.compared import Compared
from vaejax.run_directory import RunDirectory

VERSION = MEASUREMENTS["evaluate"].version


@pytest.mark.parametrize(
    ("evaluation", "measured"),
    [
        ({"version": VERSION, "step": 7}, False),
        ({"version": VERSION - 1, "step": 7}, True),
        ({"version": VERSION, "step": 6}, True),
        (None, True),
    ],
)
def test_what_another_version_or_an_earlier_step_evaluated_is_evaluated_anew(
    evaluation, measured, tmp_path, monkeypatch
):
    directory = RunDirectory(tmp_path)
    if evaluation:
        directory.write_json("evaluation.json", evaluation)
    run = SimpleNamespace(
        directory=directory,
        evaluation=evaluation,
        step=7,
        config=SimpleNamespace(evaluate="its own settings"),
        data=SimpleNamespace(is_sequence=True),
    )
    asked = []
    monkeypatch.setattr(compare, "measure_run", lambda *call: asked.append(call))
    monkeypatch.setattr(compare, "compare_sequences", lambda *_: {})
    section = Section("title", "", [], [], [])
    monkeypatch.setattr(compare, "sequence_comparison_section", lambda content: section)
    compare._compare([Compared("a", [run])], None, tmp_path, "comparison", "title")
    assert asked == ([("evaluate", run, "its own settings")] if measured else [])
