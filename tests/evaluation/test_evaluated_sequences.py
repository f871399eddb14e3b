"""Evaluation of sequences: a linear state-space model with actions, and a q that is not exact;
beside the Kalman filter of `tests.state_space`."""

import dataclasses
import functools

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from jax.tree_util import Partial
from matplotlib.colors import to_rgb

from tests import state_space as linear
from tests.runs import a_run_of, whole
from vaejax.data import SequenceDataset
from vaejax.distributions import Categories, DiagonalGaussian, Markov, StateSpace
from vaejax.evaluation import Evaluate, mean_and_errors
from vaejax.evaluation.evaluate import evaluate, summarize_evaluation
from vaejax.evaluation.evaluation_section import evaluation_rows, evaluation_section, seeds_table
from vaejax.evaluation.log_likelihood import (
    LogLikelihood,
    log_likelihood,
    summarize_log_likelihood,
)
from vaejax.evaluation.log_likelihood_section import log_likelihood_section
from vaejax.evaluation.section import ORANGE
from vaejax.evaluation.summary import summarize
from vaejax.types import Conditions, GenerativeModel, InferenceNetwork, Params, rows_of

ROOM, LENGTHS = 8, (8, 5, 3)
SETTINGS = Evaluate(num_samples=30)


def _step(parts, t, before):
    mean = parts["F"] @ before + parts["inputs"][t]
    return linear.gaussian(mean, jnp.asarray(linear.Q, jnp.float32))


def _emit(C, t, z):
    return DiagonalGaussian(C @ z, jnp.full(3, jnp.log(linear.R**0.5)))


def _joint(theta, given):
    first = linear.gaussian(jnp.asarray(linear.M), jnp.asarray(linear.P))
    inputs = given.actions @ jnp.asarray(linear.B.T, jnp.float32)
    step = Partial(_step, {"F": theta["F"], "inputs": inputs})
    model = StateSpace(first, step, Partial(_emit, theta["C"]))
    return model.joint(given.length, given.exists.shape[0])


MODEL = GenerativeModel(lambda key: (), _joint)
THETA = {"F": jnp.asarray(linear.F, jnp.float32), "C": jnp.asarray(linear.C, jnp.float32)}


def _seen(means, t, before):
    """A little of the state before, the rest of x_t."""
    return DiagonalGaussian(means[t] + 0.2 * before, jnp.full(2, -0.5))


def _posterior(phi, x, joint, given):
    means = 0.6 * jnp.nan_to_num(x) @ jnp.linalg.pinv(phi["C"]).T
    first = DiagonalGaussian(means[0], jnp.full(2, -0.5))
    return Markov(first, Partial(_seen, means), len(x), given.length)


PARAMS = Params(THETA, THETA)
Q = InferenceNetwork(lambda key: (), _posterior)


def dataset(room=ROOM, missing=()):
    """Sequences drawn from the model; those frames of the first are missing. The second is the
    training split."""
    pairs = [linear.sequence(length, seed=i) for i, length in enumerate(LENGTHS)]
    x = np.zeros((len(pairs), room, 3), np.float32)
    actions = np.zeros((len(pairs), room, 1), np.float32)
    for i, (values, inputs) in enumerate(pairs):
        x[i, : len(values)], actions[i, : len(values)] = values, inputs
    x[0, list(missing)] = np.nan
    given = Conditions(np.arange(room) < np.array(LENGTHS)[:, None], actions)
    splits = {"train": rows_of(given, slice(1, 2)), "validation": given, "test": given}
    return SequenceDataset("linear", x[1:2], x, x, None, "none", given=splits)


@functools.cache
def measured(room=ROOM, missing=()):
    """(run, arrays by part)."""
    run = a_run_of(dataset(room, missing), MODEL, Q, PARAMS)
    return run, {part.name: whole(part) for part in evaluate(run, SETTINGS)}


def about_of(run, arrays):
    return {
        "kind": run.kind,
        "settings": {"split": "test", "num_samples": 30},
        "support": run.data.support,
        "protocol": run.data.protocol(),
        "parameters": "last",
        "step": 1,
        "summary": summarize_evaluation(run, SETTINGS, arrays),
    }


def test_exact_is_the_kalman_filter_of_each_sequence():
    """Each has actions and a length, and so a model, of its own."""
    _, arrays = measured()
    truth = [
        linear.kalman_log_likelihood(*linear.sequence(length, seed=i))
        for i, length in enumerate(LENGTHS)
    ]
    np.testing.assert_allclose(arrays["exact"]["log_p"], truth, rtol=1e-6)
    assert np.all(arrays["exact"]["log_p_std_error"] < 1e-4)
    found = arrays["bounds"]
    errors = found["iwae_std_error"] + found["elbo_std_error"]
    assert np.all(found["elbo"] < found["iwae"])
    assert np.all(np.abs(found["iwae"] - truth) < 5 * errors + 0.3)


def test_an_estimate_of_what_is_exact_says_so():
    run, _ = measured()
    settings = LogLikelihood("importance", examples=2, num_samples=30)
    arrays = {part.name: whole(part) for part in log_likelihood(run, settings)}
    summary = summarize_log_likelihood(run, settings, arrays)
    assert "Kalman filter" in summary["importance"]["exact"]
    about = about_of(run, measured()[1]) | {
        "settings": dataclasses.asdict(settings),
        "summary": summary,
        "stopped_by": None,
    }
    assert "exact here" in log_likelihood_section(about, arrays).notes[0]


def test_room_behind_a_sequence_changes_no_number():
    _, arrays = measured()
    _, doubled = measured(2 * ROOM)
    for name, values in arrays["bounds"].items():
        rtol = 2e-3 if name == "khat" else 1e-5
        np.testing.assert_allclose(doubled["bounds"][name], values, rtol, 1e-5, err_msg=name)
    np.testing.assert_allclose(doubled["exact"]["log_p"], arrays["exact"]["log_p"], rtol=1e-9)
    assert set(doubled["summary"]) == set(arrays["summary"])
    for name, values in arrays["summary"].items():
        if name == "repeats_training":
            continue
        assert doubled["summary"][name].shape == values.shape == (3, ROOM, *values.shape[2:])
        np.testing.assert_allclose(
            doubled["summary"][name], values, rtol=1e-4, atol=1e-4, err_msg=name
        )


def test_missing_frames_are_counted_and_integrated_over():
    """A missing frame of the Kalman filter: one without an update."""
    run, arrays = measured(missing=(2, 4))
    np.testing.assert_array_equal(arrays["bounds"]["frames"], [6, 5, 3])
    np.testing.assert_array_equal(arrays["bounds"]["missing_frames"], [2, 0, 0])
    x, actions = linear.sequence(8, seed=0)
    # Of all frames together: one Gaussian, of which those that are there are a part.
    mean, covariance = _of_all_frames(actions)
    kept = np.repeat(np.isin(np.arange(8), (2, 4), invert=True), 3)
    away = x.ravel()[kept] - mean[kept]
    S = covariance[np.ix_(kept, kept)]
    truth = -0.5 * (np.linalg.slogdet(2 * np.pi * S)[1] + away @ np.linalg.solve(S, away))
    np.testing.assert_allclose(arrays["exact"]["log_p"][0], truth, rtol=1e-6)
    assert np.isfinite(arrays["summary"]["reconstructions"]).all()
    section = evaluation_section(about_of(run, arrays), arrays)
    assert "3 sequences, 14 frames and 2 missing ones" in section.protocol


def _of_all_frames(actions):
    """Mean and covariance of x_0..x_{T-1}, end to end."""
    steps = len(actions)
    means, covariances = [linear.M], [linear.P]
    for t in range(1, steps):
        means.append(linear.F @ means[-1] + linear.B @ actions[t])
        covariances.append(linear.F @ covariances[-1] @ linear.F.T + linear.Q)
    whole = np.zeros((3 * steps, 3 * steps))
    for s in range(steps):
        across = covariances[s]
        for t in range(s, steps):
            block = linear.C @ across @ linear.C.T
            whole[3 * t : 3 * t + 3, 3 * s : 3 * s + 3] = block
            whole[3 * s : 3 * s + 3, 3 * t : 3 * t + 3] = block.T
            across = linear.F @ across
    mean = np.concatenate([linear.C @ m for m in means])
    return mean, whole + linear.R * np.eye(3 * steps)


def test_numbers_per_frame():
    """Total nats over total frames; per sequence; and the mean over sequences of nats/T."""
    run, arrays = measured()
    summary = summarize_evaluation(run, SETTINGS, arrays)
    assert (summary["frames"], summary["missing_frames"], summary["n"]) == (16, 0, 3)
    lengths = np.array(LENGTHS)
    for name in ("log_p", "iwae", "elbo", "reconstruction", "kl"):
        values = {**arrays["bounds"], **arrays["exact"]}[name].astype(np.float64)
        assert summary["per_frame"][name]["mean"] == pytest.approx(values.sum() / 16)
        assert summary[name]["mean"] == pytest.approx(values.mean())
        alike = (values / lengths).mean()
        assert summary["mean_of_per_frame"][name]["mean"] == pytest.approx(alike)
    assert not {"code", "active_units", "squared_error", "information_lower"} & set(summary)


def test_the_error_of_a_ratio_is_that_over_many_data_sets():
    random = np.random.RandomState(0)
    counts = random.randint(5, 50, (4000, 60))
    totals = counts * (3.0 + random.randn(4000, 60)) + random.randn(4000, 60)
    ratios = totals.sum(axis=1) / counts.sum(axis=1)
    pairs = zip(totals, counts, strict=True)
    stated = [mean_and_errors(t, None, c)["std_error_data"] for t, c in pairs]
    assert np.mean(stated) == pytest.approx(ratios.std(), rel=0.05)
    errors = mean_and_errors(totals[0], np.full(60, 0.5), counts[0])["std_error_monte_carlo"]
    assert errors == pytest.approx(0.5 * 60**0.5 / counts[0].sum())


def test_what_counts_nothing_is_no_example():
    found = mean_and_errors(np.array([-6.0, 0.0]), None, np.array([3, 0]))
    assert (found["mean"], found["std_error_data"], found["n"]) == (-2.0, None, 1)
    values, counts = np.array([-6.0, -9.0, -4.0]), np.array([3, 4, 1])
    more = mean_and_errors(np.append(values, 0.0), None, np.append(counts, 0))
    assert more == mean_and_errors(values, None, counts)


def test_without_an_observed_frame_there_is_no_mean():
    """Of the first sequence alone, all of whose frames are missing."""
    run, arrays = measured(missing=tuple(range(8)))
    first = {
        part: values if part == "summary" else {name: a[:1] for name, a in values.items()}
        for part, values in arrays.items()
    }
    about = about_of(run, arrays)
    about["summary"] = summarize(first["bounds"] | first["exact"]) | {
        "kl_form": "",
        "exact": "Kalman filter",
    }
    rows = {row[0]: row for row in evaluation_rows(about)}
    assert rows["-log p(x), exact"][1:4] == ["-", "-", "-"]
    seeds = {row[0]: row[1:3] for row in seeds_table([about, about])}
    assert seeds["-log p(x), exact"] == ["-", "-"]


def test_the_table_names_the_three_means():
    run, arrays = measured()
    about = about_of(run, arrays)
    rows = evaluation_rows(about)
    labels = [row[0] for row in rows]
    exact = labels.index("-log p(x), exact")
    total = -arrays["exact"]["log_p"].sum()
    assert rows[exact][1] == f"{total / 16:.3f}"
    assert "nats per frame" in rows[exact][-1] and "Kalman filter" in rows[exact][-1]
    assert labels[exact + 1] == "  the same, per sequence"
    assert rows[exact + 1][1] == f"{total / 3:.3f}"
    assert "mean over sequences of nats/T" in labels[exact + 2]
    assert not any("bits" in row[-1] for row in rows)
    assert "known exactly" in evaluation_section(about, arrays).notes[0]
    seeds = {row[0]: row[1] for row in seeds_table([about, about])}
    assert seeds["-log p(x), exact"] == f"{total / 16:.3f}"
    assert "  the same, per sequence" in seeds


def test_sequences_of_the_training_split_are_told_apart():
    run, arrays = measured()
    np.testing.assert_array_equal(arrays["summary"]["repeats_training"], [False, True, False])
    about = about_of(run, arrays)
    without = about["summary"]["without_repeats"]
    assert (without["repeats"], without["frames"]) == (1, 11)
    mean = arrays["bounds"]["iwae"][[0, 2]].astype(np.float64).sum() / 11
    assert without["per_frame"]["iwae"]["mean"] == pytest.approx(mean)
    row = next(r for r in evaluation_rows(about) if r[0].endswith("IWAE-30 bound, without repeats"))
    assert row[1] == f"{-mean:.3f}"
    section = evaluation_section(about, arrays)
    assert any("1 of these sequences is also in the training split" in n for n in section.notes)
    assert "without_repeats" not in summarize(arrays["bounds"])


def test_on_other_data_no_sequence_is_called_one_of_training():
    """The training split of that data is not the run's."""
    run, _ = measured()
    elsewhere = dataclasses.replace(run, on_training_data=False)
    together = next(part for part in evaluate(elsewhere, SETTINGS) if part.name == "summary")
    assert "repeats_training" not in next(together.blocks({}, lambda evaluations: True))


def test_a_mean_field_that_did_not_converge_is_counted():
    run, arrays = measured()
    about = about_of(run, arrays)
    whole = arrays["bounds"] | {"converged": np.array([True, False, False])}
    about["summary"]["not_converged"] = summarize(whole)["not_converged"]
    (row,) = (row for row in evaluation_rows(about) if row[0] == "q not converged")
    assert row[1] == "2 of 3"


def test_what_is_pictured_of_a_sequence_is_near_it():
    """Nearer than samples of p(x) are, which have its length."""
    _, arrays = measured()
    found, counts = arrays["summary"], dataset().given["test"].exists
    away = np.square(found["reconstructions"] - found["originals"])[counts].mean()
    assert away < 0.5 * np.square(found["samples"] - found["originals"])[counts].mean()
    inside = (found["low"] < found["originals"]) & (found["originals"] < found["high"])
    assert inside[counts].mean() > 0.7
    assert np.all(found["samples"][~counts] == 0) and np.all(found["samples"][counts] != 0)


@pytest.mark.parametrize("kind", ["lines", "rolls", "films", "categories"])
def test_pictures_are_drawn_by_the_kind_of_frame(kind):
    """Each has an image of every view; the missing frames are marked in the first sequence."""
    run, arrays = measured(missing=(2, 4))
    about, together = about_of(run, arrays), dict(arrays["summary"])
    shape = {"films": (6, 6), "categories": (2,)}.get(kind, (3,))
    random = np.random.RandomState(0)
    for name in ("originals", "reconstructions", "samples", "sample_means"):
        together[name] = random.rand(3, ROOM, *shape).astype(np.float32)
        if kind == "categories":
            together[name] = random.randint(0, 4, (3, ROOM, *shape))
    together["originals"][0, [2, 4]] = -1 if kind == "categories" else np.nan
    about["support"] = {"lines": "real", "categories": "categories"}.get(kind, "binary")
    if kind == "categories":
        about["protocol"] |= {"categories": 4}
        del together["sample_means"]
    figures = evaluation_section(about, arrays | {"summary": together}).figures
    assert [figure.name for figure in figures] == ["reconstructions", "samples"]
    seen, caption = figures[0].draw()
    marks = [to_rgb(patch.get_edgecolor()) for axes in seen.axes for patch in axes.patches]
    # In every view of the first sequence: two frames in three elements, in two strips, two rolls.
    assert marks.count(to_rgb(ORANGE)) == (6 if kind == "lines" else 4)
    assert "missing" in caption and ("band" in caption) == (kind == "lines")
    titles = [axes.get_title() for axes in seen.axes]
    assert kind not in ("rolls", "categories") or all(titles[:2])
    assert len(seen.axes) == {"lines": 9, "films": 3}.get(kind, 6)
    plt.close(seen)
    assert figures[1].drawn[0].startswith(b"\x89PNG")


CATEGORIES = GenerativeModel(
    lambda key: (),
    lambda theta, given: StateSpace(
        DiagonalGaussian(jnp.zeros(2), jnp.zeros(2)),
        Partial(lambda t, z: DiagonalGaussian(0.9 * z, jnp.full(2, -1.0))),
        Partial(lambda t, z: Categories(3.0 * jnp.stack([z, -z, jnp.ones(2)], axis=-1))),
    ).joint(given.length, given.exists.shape[0]),
)


def test_categories_without_a_mean_are_measured():
    x = np.random.RandomState(0).randint(0, 3, (2, 6, 2)).astype(np.int16)
    x[0, 3] = -1
    given = Conditions(np.arange(6) < np.array([[6], [4]]))
    splits = dict.fromkeys(("train", "validation", "test"), given)
    data = SequenceDataset("letters", x, x, x, None, "none", given=splits, num_categories=3)
    q = InferenceNetwork(lambda key: (), lambda phi, x, joint, given: joint.prior)
    run = a_run_of(data, CATEGORIES, q, Params((), ()))
    arrays = {part.name: whole(part) for part in evaluate(run, SETTINGS)}
    assert set(arrays) == {"bounds", "summary"}  # no Kalman filter
    np.testing.assert_array_equal(arrays["bounds"]["frames"], [5, 4])
    np.testing.assert_allclose(arrays["bounds"]["kl"], 0, atol=1e-5)
    assert set(np.unique(arrays["summary"]["reconstructions"])) <= {0, 1, 2}
    assert "sample_means" not in arrays["summary"]
    assert evaluation_section(about_of(run, arrays), arrays).figures[0].drawn
