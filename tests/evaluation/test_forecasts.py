"""Forecasts of a linear model beside the exact predictive distribution, and particle filters of a
run beside the Kalman filter; the model is that of `tests.evaluation.test_evaluated_sequences`."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests import state_space as linear
from tests.evaluation.test_evaluated_sequences import LENGTHS, MODEL, PARAMS, THETA, Q, dataset
from tests.runs import a_run, a_run_of, examples, whole
from vaejax.commands.sample_sequences import _actions, _new
from vaejax.data import SequenceDataset
from vaejax.distributions import (
    Bernoulli,
    Categories,
    DiagonalGaussian,
    StateSpace,
    standard_normal,
    state_space_of,
)
from vaejax.errors import SettingError, UserError
from vaejax.evaluation import Forecast, LogLikelihood
from vaejax.evaluation.continuation import first_frames
from vaejax.evaluation.forecast_scores import (
    baselines_of,
    features,
    in_likely_set,
    is_inside,
    rank,
)
from vaejax.evaluation.forecasts import (
    FORECAST_MEASUREMENT,
    _share,
    forecasts,
    summarize_forecasts,
)
from vaejax.evaluation.log_likelihood import (
    LOG_LIKELIHOOD_MEASUREMENT,
    log_likelihood,
    summarize_log_likelihood,
)
from vaejax.evaluation.sequence_samples import DRAWS, continued_sequences, whole_sequences
from vaejax.generative import forecast
from vaejax.types import (
    Conditions,
    Example,
    GenerativeModel,
    InferenceNetwork,
    Joint,
    Params,
    rows_of,
)

KEY = jax.random.key(0)
START, STEPS = 4, 3
SETTINGS = Forecast(start=START, steps=STEPS, num_particles=4000)


def predictive(x, actions, steps):
    """Mean (steps, 3) and covariance (steps, 3, 3) of each x_t that follows x, given it: the
    Kalman filter, and then its prediction, in float64."""
    mean, covariance, found = linear.M, linear.P, []
    for t in range(len(x) + steps):
        if t > 0:
            mean = linear.F @ mean + linear.B @ actions[t]
            covariance = linear.F @ covariance @ linear.F.T + linear.Q
        S = linear.C @ covariance @ linear.C.T + linear.R * np.eye(3)
        if t >= len(x):
            found.append((linear.C @ mean, S))
        elif not np.isnan(x[t]).any():
            gain = covariance @ linear.C.T @ np.linalg.inv(S)
            mean = mean + gain @ (x[t] - linear.C @ mean)
            covariance = covariance - gain @ linear.C @ covariance
    return tuple(map(np.array, zip(*found, strict=True)))


def model_of(length, actions):
    given = Conditions(jnp.ones(length, bool), jnp.asarray(actions, jnp.float32))
    return state_space_of(MODEL.joint(THETA, given))[0]


@pytest.mark.parametrize("use_q", [False, True])
@pytest.mark.parametrize("missing", [(), (1, 3)])
def test_draws_have_the_exact_predictive_mean_and_interval(use_q, missing):
    """Also where the last frame that is seen is missing, and behind padding."""
    x, actions = linear.sequence(START + STEPS, seed=3)
    seen = x[:START].astype(np.float32)
    seen[list(missing)] = np.nan
    mean, covariance = predictive(seen, actions, STEPS)
    example = Example(
        jnp.asarray(np.pad(seen, ((0, 2), (0, 0)))),
        Conditions(jnp.arange(START + 2) < START, jnp.asarray(actions[: START + 2], jnp.float32)),
    )
    q = Q.posterior(PARAMS.inference, example.x, None, example.given) if use_q else None
    model = model_of(START + STEPS, actions)
    n = 20_000
    draw = jax.jit(
        lambda key: forecast(
            key, model, example.x, q, num_steps=STEPS, num_particles=n, length=START
        )
    )
    z, drawn = map(np.asarray, draw(KEY))
    assert z.shape == (n, STEPS, 2) and drawn.shape == (n, STEPS, 3)
    scale = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    error = 6 * scale / np.sqrt(n / 5)  # the particles share ancestors
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < error)
    for tail in (0.05, 0.95):
        exact = mean + scale * scipy.stats.norm.ppf(tail)
        assert np.all(np.abs(np.quantile(drawn, tail, axis=0) - exact) < 2 * error)


def test_actions_that_are_not_given_are_refused():
    """JAX would repeat the last ones."""
    x, actions = linear.sequence(START + STEPS, seed=3)
    seen = x[:START].astype(np.float32)
    model = model_of(START + STEPS - 1, actions[:-1])
    with pytest.raises(ValueError, match="known for 7 steps; they are known for 6"):
        forecast(KEY, model, seen, num_steps=STEPS, num_particles=10)
    settings = {"num_steps": STEPS, "num_particles": 10, "length": START - 1}
    jax.jit(lambda key: forecast(key, model, seen, **settings))(KEY)


def test_draws_are_in_random_order():
    """Of one ancestor there are several; side by side they would be alike."""
    x, actions = linear.sequence(START + 1, seed=3)
    model, seen = model_of(START + 1, actions), x[:START].astype(np.float32)
    draw = jax.jit(lambda key: forecast(key, model, seen, num_steps=1, num_particles=20_000))
    z, _ = draw(KEY)
    z = np.asarray(z)[:, 0, 0]
    assert abs(np.corrcoef(z[1:], z[:-1])[0, 1]) < 4 / 20_000**0.5


def test_nothing_behind_the_start_is_seen():
    """Neither x nor whether frames exist; the actions, which act on what follows, are."""
    run, changed = a_run_of(dataset(), MODEL, Q, PARAMS), dataset()
    changed.test[:, START:] = 7.0
    other = a_run_of(changed, MODEL, Q, PARAMS)
    first, second = (whole(forecasts(r, SETTINGS)[1]) for r in (run, other))
    np.testing.assert_array_equal(first["draws"], second["draws"])
    given = dataset().given["test"]
    given.actions[:, START:] = 7.0
    other = a_run_of(
        dataclasses.replace(changed, given=changed.given | {"test": given}),
        MODEL,
        Q,
        PARAMS,
    )
    moved = np.abs(whole(forecasts(other, SETTINGS)[1])["mean"] - first["mean"])
    assert moved[:2].max(axis=2).min() > 1


def section_of(run, settings, summary, arrays):
    """The section, each figure of which is drawn."""
    about = {
        "summary": summary,
        "settings": dataclasses.asdict(settings),
        "support": run.data.support,
        "protocol": run.data.protocol(),
        "parameters": "last",
        "step": 1,
        "stopped_by": None,
    }
    section = FORECAST_MEASUREMENT.section(about, arrays)
    for figure in section.figures:
        assert len(figure.drawn[0]) > 1000
    return section


def test_the_scores_of_a_run():
    """The mean squared error of the exact mean; what is too short or behind the end counts not."""
    run = a_run_of(dataset(), MODEL, Q, PARAMS)
    arrays = {part.name: whole(part) for part in forecasts(run, SETTINGS)}
    found = arrays["forecasts"]
    lengths = np.array(LENGTHS)
    np.testing.assert_array_equal(found["counts"], START + np.arange(STEPS) < lengths[:, None])
    for i, length in enumerate(LENGTHS):
        x, actions = linear.sequence(length, seed=i)
        steps = min(STEPS, max(0, length - START))
        if steps:
            mean, _ = predictive(x[:START], actions, steps)
            after = x[START : START + steps]
            squared = np.square(after - mean).mean(axis=1)
            np.testing.assert_allclose(found["error"][i, :steps], squared, atol=0.12)
            last = np.square(after - x[START - 1]).mean(axis=1)
            np.testing.assert_allclose(found["error_last"][i, :steps], last, rtol=1e-5)
        assert not found["error"][i, steps:].any() and not found["inside"][i, steps:].any()
    summary = summarize_forecasts(run, SETTINGS, arrays)
    assert summary["too_short"] == [2] and summary["frames"] == 4
    by_step = summary["scores"]["error"]["by_step"]
    assert [entry["n"] for entry in by_step] == [2, 1, 1]
    total = found["error"].sum() / 4
    assert summary["scores"]["error"]["all"]["mean"] == pytest.approx(total)
    section = section_of(run, SETTINGS, summary, arrays)
    assert [row[0] for row in section.tables[0].rows] == ["1", "2", "3", "all"]
    assert any("too short" in note and "examples 2" in note for note in section.notes)


def test_a_share_of_values_all_alike_has_an_error():
    for inside in (0, 1):
        counts = np.array([4, 4, 2, 0])
        found = _share(inside * counts, counts)
        assert found["mean"] == inside and found["n"] == 3
        assert found["std_error_data"] == pytest.approx((4 / 5**3) ** 0.5)  # of three sequences
        ten = _share(np.full(10, inside))["std_error_data"]
        assert ten == pytest.approx((11 / 12**3) ** 0.5)
    assert _share(np.array([4, 0]), np.array([4, 0]))["std_error_data"] is None
    apart = _share(np.array([0, 50, 50]), np.array([50, 50, 50]))  # each sequence as a whole
    assert apart["std_error_data"] == pytest.approx(1 / 3)


def test_a_rank_among_draws_is_uniform_with_ties_too():
    rng = np.random.default_rng(0)
    for draw in (lambda size: rng.normal(size=size), lambda size: rng.binomial(4, 0.2, size)):
        draws, values = draw((19, 4000)), draw(4000)
        inside = np.asarray(is_inside(rank(KEY, jnp.asarray(draws), jnp.asarray(values)), 0.9))
        assert inside.mean() == pytest.approx(0.9, abs=5 * 0.3 / 4000**0.5)


def test_the_features_of_an_image():
    image = np.zeros((2, 5, 4), np.float32)
    image[0, 1, 2] = image[0, 3, 2] = 1
    found = features(image, 2)
    np.testing.assert_allclose(found["lit"], [2, 0])
    np.testing.assert_allclose(found["across"], [2, 1.5])
    np.testing.assert_allclose(found["down"], [2, 2])
    assert set(features(image, 1)) == {"lit"}


RATES = np.array([0.1, 0.6, 0.9], np.float32)


def _rates(t, z):
    return Bernoulli(jnp.log(RATES / (1 - RATES)) + 0.0 * z[0])


LIKELY = np.array([[0.55, 0.25, 0.15, 0.05], [0.05, 0.05, 0.15, 0.75]], np.float32)


def _likely(t, z):
    return Categories(jnp.log(LIKELY) + 0.0 * z[0])


def run_without_z(emission, x, **kind):
    """Of a model whose frames do not depend on z, so that every number has a formula."""

    def joint(theta, given):
        steps = state_space_of(MODEL.joint(THETA, given))[0]
        model = StateSpace(steps.initial, steps.transition, emission)
        return model.joint(given.length, given.exists.shape[0])

    n, time = x.shape[:2]
    given = Conditions(np.ones((n, time), bool), np.zeros((n, time, 1), np.float32))
    splits = dict.fromkeys(("train", "validation", "test"), given)
    data = SequenceDataset("rates", x, x, x, given=splits, **kind)
    q = InferenceNetwork(lambda key: (), lambda phi, x, joint, given: joint.prior)
    return a_run_of(data, GenerativeModel(lambda key: (), joint), q, Params((), ()))


def test_binary_frames_have_their_log_probability_and_calibration():
    rng = np.random.default_rng(0)
    n, time = 40, 8
    x = (rng.uniform(size=(n, time, 3)) < RATES).astype(np.uint8)
    run = run_without_z(_rates, x, levels=1, binarization="static")
    settings = Forecast(start=4, steps=4, num_particles=2000, proposal="prior")
    assert FORECAST_MEASUREMENT.undefined(run, settings) is None
    arrays = {part.name: whole(part) for part in forecasts(run, settings)}
    after = x[:, 4:].astype(float)
    truth = scipy.stats.bernoulli.logpmf(after, RATES).sum(axis=2)
    np.testing.assert_allclose(arrays["forecasts"]["log_p"], truth, rtol=1e-4)
    mean = (x.reshape(-1, 3).sum(axis=0) + 0.5) / (n * time + 1)
    guess = scipy.stats.bernoulli.logpmf(after, mean).sum(axis=2)
    np.testing.assert_allclose(arrays["forecasts"]["log_p_mean"], guess, rtol=1e-4)
    summary = summarize_forecasts(run, settings, arrays)
    bins = [b for b in summary["calibration"] if b["count"] > 100]
    assert sum(b["count"] for b in summary["calibration"]) == n * 4 * 3
    for found in bins:
        frequency = found["frequency"]
        assert abs(found["predicted"] - frequency["mean"]) < 4 * frequency["std_error_data"]
    section = section_of(run, settings, summary, arrays)
    assert len(section.tables) == 3 and len(section.tables[2].rows) == 10
    inside = summary["scores"]["inside_lit"]["all"]["mean"]
    assert inside == pytest.approx(0.9, abs=4 * (0.09 / (n * 4)) ** 0.5)


def test_categories_have_their_log_probability_and_calibration():
    rng = np.random.default_rng(0)
    n, time = 40, 8
    x = np.stack([rng.choice(4, p=p, size=(n, time)) for p in LIKELY], axis=-1).astype(np.int32)
    run = run_without_z(_likely, x, levels=None, binarization="none", num_categories=4)
    settings = Forecast(start=4, steps=4, num_particles=2000, proposal="prior")
    assert FORECAST_MEASUREMENT.undefined(run, settings) is None
    arrays = {part.name: whole(part) for part in forecasts(run, settings)}
    found, after, last = arrays["forecasts"], x[:, 4:], x[:, 3:4]
    element = np.arange(2)
    truth = np.log(LIKELY[element, after]).sum(axis=2)
    np.testing.assert_allclose(found["log_p"], truth, rtol=1e-4)
    often = (np.eye(4)[x].sum(axis=(0, 1)) + 0.5) / (n * time + 2)
    guess = often[element, after]
    np.testing.assert_allclose(found["log_p_mean"], np.log(guess).sum(axis=2), rtol=1e-4)
    same = [(x[:, :-h] == x[:, h:]) for h in range(1, 5)]
    stays = np.array([(s.sum() + 0.5) / (s.size + 1) for s in same])[:, None]
    moved = (1 - stays) * guess / (1 - often[element, last])
    kept = np.log(np.where(after == last, stays, moved)).sum(axis=2)
    np.testing.assert_allclose(found["log_p_last"], kept, rtol=1e-4)
    summary = summarize_forecasts(run, settings, arrays)
    bins = [found for found in summary["calibration"] if found["count"]]
    assert [found["count"] for found in bins] == [160, 160]  # of 0.55 and of 0.75
    for found in bins:
        frequency = found["frequency"]
        assert abs(found["predicted"] - frequency["mean"]) < 4 * frequency["std_error_data"]
    inside = summary["scores"]["inside_set"]["all"]["mean"]
    assert inside == pytest.approx(0.9, abs=4 * (0.09 / (n * 8)) ** 0.5)
    section = section_of(run, settings, summary, arrays)
    assert "most probable category" in section.tables[2].header[0]


def test_the_set_of_likely_categories():
    """It holds a draw like the others with its probability, and is the smallest that does."""
    rng = np.random.default_rng(0)
    values = rng.choice(4, p=LIKELY[0], size=(20, 4000))
    numbers = np.sum(values[:-1] == np.arange(4)[:, None, None], axis=1)
    inside = np.asarray(in_likely_set(KEY, jnp.asarray(numbers), jnp.asarray(values[-1]), 0.9))
    assert inside.mean() == pytest.approx(0.9, abs=5 * 0.3 / 4000**0.5)
    many = jnp.round(LIKELY[0] * 1e6).astype(jnp.int32)[:, None]
    for value, share in enumerate((1, 1, 2 / 3, 0)):
        at = jnp.full(4000, value)
        found = np.asarray(in_likely_set(KEY, jnp.broadcast_to(many, (4, 4000)), at, 0.9))
        assert found.mean() == pytest.approx(share, abs=0.04)


def test_how_often_a_value_is_lit_later():
    x = np.array([[[0], [1], [1], [0]], [[1], [1], [0], [0]]], np.float32)
    exists = np.array([[True] * 4, [True, True, True, False]])
    found = baselines_of(Example(x, Conditions(exists)), np.array([4 / 7]), 1, "binary")
    # Of the five pairs of frames: 0 1, 1 1, 1 0 and 1 1, 1 0.
    np.testing.assert_allclose(found["lit_after_1"], [2.5 / 5])
    np.testing.assert_allclose(found["lit_after_0"], [1.5 / 2])
    np.testing.assert_allclose(found["mean"], [4.5 / 8])


def test_what_cannot_be_forecast_is_refused():
    run = a_run_of(dataset(), MODEL, Q, PARAMS)
    with pytest.raises(SettingError, match=r"start 8 leaves nothing to forecast.*8 frames"):
        FORECAST_MEASUREMENT.undefined(run, Forecast(start=8))
    still = a_run(*_still(), np.ones((3, 2), np.float32))
    reason = FORECAST_MEASUREMENT.undefined(still, Forecast())
    assert "not a state-space model" in reason
    reason = LOG_LIKELIHOOD_MEASUREMENT.undefined(still, LogLikelihood(estimator="filter"))
    assert "state-space model" in reason
    assert "filter" not in LogLikelihood(estimator="all").names(state_space=False)


def _still():
    """A model of vectors."""

    def decode(z):
        return DiagonalGaussian(z, jnp.zeros(2))

    p = GenerativeModel(lambda key: (), lambda theta, given=(): Joint(standard_normal(2), decode))
    q = InferenceNetwork(lambda key: (), lambda phi, x, joint, given=(): standard_normal(2))
    return p, q, Params((), ())


@pytest.mark.parametrize("proposal", ["posterior", "prior"])
def test_filters_of_a_run_are_the_kalman_filter_per_example(proposal):
    run = a_run_of(dataset(missing=(2,)), MODEL, Q, PARAMS)
    settings = LogLikelihood(
        estimator="filter", examples=3, num_particles=500, num_filters=10, proposal=proposal
    )
    assert LOG_LIKELIHOOD_MEASUREMENT.undefined(run, settings) is None
    (part,) = log_likelihood(run, settings)
    arrays = whole(part)
    truth = np.array(
        [linear.kalman_log_likelihood(*linear.sequence(n, seed=i)) for i, n in enumerate(LENGTHS)]
    )
    away = np.abs(arrays["value"] - truth)[1:]  # the first has a missing frame
    assert np.all(away < 5 * arrays["std_error"][1:] + 0.02)
    found = summarize_log_likelihood(run, settings, {"filter": arrays})["filter"]
    assert found["per_frame"]["mean"] == pytest.approx(arrays["value"].sum() / 15, rel=1e-5)
    assert found["settings"]["proposal"] == proposal
    assert found["evaluations_per_estimate"] == 5000


def test_a_sequence_continues_under_other_actions():
    """The mean moves by what the actions move it: B a at the first step, F B a more at the next."""
    run = a_run_of(dataset(), MODEL, Q, PARAMS)
    one, seen = rows_of(run.examples("test"), slice(0, 1)), np.array([START])
    own = np.asarray(one.given.actions)[:, START : START + 2]
    draw = [continued_sequences(KEY, run, one, seen, 2, own + shift) for shift in (0.0, 2.0)]
    assert draw[0].shape == (1, DRAWS, 2, 3)
    same = continued_sequences(KEY, run, one, seen, 2, None)
    np.testing.assert_array_equal(same, draw[0])
    moved = [linear.B @ [2.0], linear.B @ [2.0] + linear.F @ linear.B @ [2.0]]
    difference = (draw[1] - draw[0])[0]  # the noise is the same in both
    for step in range(2):
        expected = np.broadcast_to(linear.C @ moved[step], (DRAWS, 3))
        np.testing.assert_allclose(difference[:, step], expected, atol=1e-4)


def test_whole_sequences_have_the_models_moments():
    run = a_run_of(dataset(), MODEL, Q, PARAMS)
    actions = np.repeat(np.array([[[0.0], [1.5]]], np.float32), 4000, axis=0)
    exists = np.ones((4000, 2), bool)
    exists[0, 1] = False
    found = whole_sequences(KEY, run, exists, actions)
    np.testing.assert_array_equal(found["lengths"], exists.sum(axis=1))
    assert not found["samples"][0, 1].any() and found["samples"][0, 0].all()
    found["samples"] = found["samples"][1:]
    exact = linear.C @ (linear.F @ linear.M + linear.B @ [1.5])
    error = found["samples"][:, 1].std(axis=0) / 4000**0.5
    assert np.all(np.abs(found["samples"][:, 1].mean(axis=0) - exact) < 5 * error)


def test_samples_are_as_long_as_the_sequences_whose_actions_they_are_under():
    run = a_run_of(dataset(), MODEL, Q, PARAMS)
    given = run.examples("test").given
    options = SimpleNamespace(count=4, seed=0)
    arrays, _, lines = _new(run, options, None)
    which = np.arange(4) % len(given.exists)
    np.testing.assert_array_equal(arrays["lengths"], given.exists[which].sum(axis=1))
    assert not arrays["samples"][~given.exists[which]].any()
    shortest, longest = arrays["lengths"].min(), arrays["lengths"].max()
    assert lines[0].startswith(f"4 sequences of {shortest} to {longest} frames")


def test_actions_are_of_an_npy(tmp_path):
    np.savez(tmp_path / "a.npz", actions=np.zeros((3, 1)))
    with pytest.raises(UserError, match=r"expects a \.npy file of one array"):
        _actions(a_run_of(dataset(), MODEL, Q, PARAMS), tmp_path / "a.npz")


def test_the_first_frames_leave_nothing_behind():
    example = rows_of(examples(np.ones((1, 6, 2), np.float32)), 0)
    given = Conditions(jnp.ones(6, bool), jnp.ones((6, 1)))
    cut = first_frames(Example(example.x, given), jnp.asarray(2), 4)
    np.testing.assert_array_equal(cut.x.sum(axis=1), [2, 2, 0, 0])
    np.testing.assert_array_equal(cut.given.exists, [True, True, False, False])
    np.testing.assert_array_equal(cut.given.actions[:, 0], [1, 1, 0, 0])
