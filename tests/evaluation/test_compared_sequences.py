"""Models of sequences side by side: the numbers of a frame, and the differences between models."""

import numpy as np
import pytest

from vaejax.evaluation.compared_sequences import (
    _difference,
    _per_frame,
    sequence_comparison_section,
)


def arrays(shift=0.0, noise=0.0, seed=0, exact=True):
    """Of 30 sequences: nats that depend on the sequence, more than on the model."""
    rng = np.random.default_rng(0)
    frames = rng.integers(10, 50, 30)
    value = -frames * rng.normal(3.0, 0.5, 30)
    own = np.random.default_rng(seed).normal(0, noise, 30)
    found = {"frames": frames, "iwae": value - frames * (shift + own)}
    found["kl"] = np.full(30, 7.0)
    if exact:
        found["log_p"] = found["iwae"] + frames
    return found | {f"{name}_std_error": np.full(30, 0.3) for name in found if name != "frames"}


def test_a_number_is_total_nats_over_total_frames():
    seeds = [arrays(shift) for shift in (0.0, 0.2)]
    found, frames = _per_frame(seeds), seeds[0]["frames"]
    totals = [seed["iwae"].sum() / frames.sum() for seed in seeds]
    assert found["iwae"]["mean"] == pytest.approx(np.mean(totals))
    assert found["iwae"]["each_seed"] == pytest.approx(totals)
    assert found["iwae"]["std_error_seeds"] == pytest.approx(0.1)
    error = 0.3 * 30**0.5 / 2**0.5 / frames.sum()
    assert found["iwae"]["std_error_monte_carlo"] == pytest.approx(error)
    assert found["kl"]["mean"] == pytest.approx(7 * 30 / frames.sum())
    assert _per_frame(seeds[:1])["iwae"]["std_error_seeds"] is None


def test_a_difference_is_paired_over_sequences():
    first, second = [arrays()], [arrays(0.05, noise=0.02, seed=1)]
    found = _difference(first, second)
    assert found["of"] == "log_p" and found["mean"] == pytest.approx(0.05, abs=0.012)
    assert found["std_error"] < 0.1 * _per_frame(first)["log_p"]["std_error_data"]
    assert found["half_width"] == pytest.approx(2.05 * found["std_error"], rel=0.01)
    assert _difference(first, [arrays(0.05, exact=False)])["of"] == "iwae"
    alone = {name: values * (np.arange(30) == 0) for name, values in first[0].items()}
    found_alone = _difference([alone], [alone])
    assert found_alone["std_error"] is None and found_alone["half_width"] is None
    none = {name: np.zeros(30) for name in alone}
    assert _difference([none] * 2, [none])["mean"] is None
    assert _per_frame([none] * 2)["iwae"]["std_error_seeds"] is None
    back = _difference(second, first)
    assert back["mean"] == -found["mean"]


LABELS = {"a": arrays(), "b": arrays(0.05, noise=0.02, seed=1), "c": arrays(noise=0.1, seed=2)}


def compared(labels):
    models = [
        {
            "label": label,
            "runs": [label],
            "parameters": {"generative": 10, "inference": 20},
            "khat_above_0.7": [4],
            "training": {"steps": 100, "seeds": 1, "seconds": 4.0},
        }
        | _per_frame([values])
        for label, values in labels.items()
    ]
    pairs = [
        {"first": "a", "second": other} | _difference([labels["a"]], [labels[other]])
        for other in "bc"
    ]
    about = {"title": "t", "evaluated": "", "num_samples": 50, "models": models, "pairs": pairs}
    return about | {"fairness": [], "forecasts": None}


def test_what_is_said_goes_by_the_interval():
    about = compared(LABELS)
    section = sequence_comparison_section(about)
    rows = {row[0]: row for row in section.tables[1].rows}
    assert rows["a minus b"][-1] == "yes: a is ahead, for these two trainings only" and rows[
        "a minus b"
    ][1].startswith("-0.0")
    assert rows["a minus c"][-1] == "no"
    about["pairs"][0]["of"] = "iwae"
    bounds = sequence_comparison_section(about).tables[1].rows
    assert {row[-1] for row in bounds} == {
        "yes: a has the better bound, for these two trainings only",
        "no",
    }
    assert section.tables[2].rows[0][-1] == "100 steps, 4 s (25 steps/s)"
    assert "k-hat above 0.7 for 4 of 30" in section.tables[0].rows[1][-1]
    for table in section.tables:
        assert all(len(row) == len(table.header) for row in table.rows)


def test_the_figure_marks_what_is_exact_and_what_is_flagged():
    """Exact ones first, the best on top; a bar is the error that the table has."""
    about = compared(LABELS)
    (figure,) = sequence_comparison_section(about).figures
    drawn, _ = figure.draw()
    (axes,) = drawn.axes
    found = {(m["label"], name): m[name] for m in about["models"] for name in ("log_p", "iwae")}
    order = sorted(found, key=lambda key: (key[1] != "log_p", -found[key]["mean"]))
    words = {"log_p": "exact", "iwae": "IWAE-50; 4 estimates flagged"}
    expected = [f"{label}, {words[name]}" for label, name in order]
    assert [label.get_text() for label in axes.get_yticklabels()] == expected
    bars = [collection.get_segments()[0][:, 0] for collection in axes.collections]
    for bar, key in zip(bars, order, strict=True):
        mean, error = -found[key]["mean"], found[key]["std_error_data"]
        assert bar == pytest.approx([mean - error, mean + error])
    colours = [tuple(collection.get_color()[0]) for collection in axes.collections]
    assert len(set(colours[:3])) == len(set(colours[3:])) == 1 and colours[0] != colours[3]
