"""A trained model in use: codes, draws, log p(x), tables; beside its distributions one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import state_space as linear
from tests.evaluation.test_evaluated_sequences import LENGTHS, MODEL, PARAMS, Q, dataset
from tests.pairs import linear_gaussian
from tests.runs import a_run, a_run_of
from vaejax.data import Dataset
from vaejax.distributions import DiscretizedLogistic, Empty, standard_normal
from vaejax.evaluation import Evaluate, carry_out
from vaejax.evaluation.measurements import MEASUREMENTS
from vaejax.evaluation.own_examples import own_examples
from vaejax.evaluation.run import rows_with_equal_conditions
from vaejax.inference import (
    amortized,
    diagonal_gaussian,
    gaussian_mixture,
    no_latent,
    parameter_count,
    point_mass,
)
from vaejax.networks import MLP
from vaejax.types import Conditions, GenerativeModel, Joint, Params, rows_of

XS = np.random.RandomState(0).randn(5, 3).astype(np.float32)


def run_with(family, folder=None):
    model, log_marginal = linear_gaussian(np.array([[1.0, 0.6], [0.5, -0.4], [-0.7, 0.9]]), 0.8)
    q = amortized(family, MLP((), (parameter_count(family),)), (3,))
    params = Params(model.init(jax.random.key(0)), q.init(jax.random.key(1)))
    return a_run(model, q, params, XS, folder=folder), log_marginal


@pytest.fixture(scope="module")
def gaussian():
    return run_with(diagonal_gaussian(2))


@pytest.fixture(scope="module")
def sequences():
    return a_run_of(dataset(), MODEL, Q, PARAMS)


def test_codes_are_the_moments_of_each_q(gaussian):
    run, _ = gaussian
    codes = run.encode(XS)
    for x, mean, std in zip(XS, *codes, strict=True):
        np.testing.assert_allclose(mean, run.posterior(x).mean(), rtol=1e-5)
        np.testing.assert_allclose(std, run.posterior(x).stddev(), rtol=1e-5)


def test_a_point_mass_has_its_point_and_0():
    run, _ = run_with(point_mass(2))
    mean, std = run.encode(XS)
    np.testing.assert_allclose(mean[1], run.posterior(XS[1]).sample(seed=jax.random.key(0)))
    assert (std == 0).all()


def test_moments_without_a_formula_are_those_of_draws():
    run, _ = run_with(gaussian_mixture(2, num_components=3))
    mean, std = run.encode(XS)
    draws = run.posterior(XS[2]).sample(seed=jax.random.key(5), sample_shape=(20_000,))
    assert np.abs(mean[2] - draws.mean(axis=0)).max() < 5 * draws.std() / 20_000**0.5
    np.testing.assert_allclose(std[2], draws.std(axis=0), rtol=0.4)
    np.testing.assert_array_equal(run.encode(XS[:3]).std, std[:3])


def test_codes_of_sequences_are_the_moments_along_time(sequences):
    examples = sequences.examples("test")
    mean, std = sequences.encode(examples.x, given=examples.given)
    means = 0.6 * examples.x @ np.linalg.pinv(linear.C).T
    for i, length in enumerate(LENGTHS):
        m, variance = np.zeros(2), 0.0
        for t in range(length):
            m, variance = means[i, t] + 0.2 * m, np.exp(-1.0) + 0.04 * variance
            assert np.abs(mean[i, t] - m).max() < 0.5 * variance**0.5  # of 100 draws
            np.testing.assert_allclose(std[i, t], variance**0.5, rtol=0.4)


def test_draws_are_those_of_the_joint(gaussian):
    run, _ = gaussian
    key = jax.random.key(3)
    drawn = run.sample(key, 4)
    z, x = jax.vmap(run.joint().sample)(jax.random.split(key, 4))
    np.testing.assert_allclose(drawn.z, z, rtol=1e-6)
    np.testing.assert_allclose(drawn.x, x, rtol=1e-6)
    np.testing.assert_allclose(drawn.means[0], run.joint().likelihood(z[0]).mean(), rtol=1e-5)


def test_log_likelihood_is_that_of_the_closed_form(gaussian):
    run, log_marginal = gaussian
    found = run.log_likelihood(jax.random.key(0), XS)
    assert found.method.startswith("exact")
    np.testing.assert_allclose(found.value, log_marginal(XS), rtol=1e-5)


def test_each_sequence_has_the_joint_of_what_it_is_given(sequences):
    examples = sequences.examples("test")
    found = sequences.log_likelihood(jax.random.key(0), examples.x, given=examples.given)
    truth = [
        linear.kalman_log_likelihood(*linear.sequence(length, seed=i))
        for i, length in enumerate(LENGTHS)
    ]
    np.testing.assert_allclose(found.value, truth, rtol=1e-6)


def test_sequences_are_drawn_with_as_many_frames_as_are_given(sequences):
    """More than the data have."""
    given = Conditions(np.ones((2, 11), bool), np.zeros((2, 11, 1), np.float32))
    assert sequences.sample(jax.random.key(0), 2, given=given).x.shape == (2, 11, 3)


@pytest.mark.parametrize("row", [[1, 1, 0, 1, 1, 0, 0, 0], [0] * 8])
def test_frames_that_exist_are_the_first_ones_in_every_sequence(sequences, row):
    examples = sequences.examples("test")
    exists = np.array([examples.given.exists[0], row, row], bool)
    given = examples.given._replace(exists=exists)
    with pytest.raises(ValueError, match=r"encode: the frames that exist .* sequence 1 has others"):
        sequences.encode(examples.x, given=given)


def test_examples_in_a_row_that_are_given_the_same_are_measured_together():
    exists = np.array([[1, 1], [1, 1], [1, 0], [1, 1]], bool)
    parts = rows_with_equal_conditions(Conditions(exists), 4)
    assert [part.tolist() for part in parts] == [[0, 1], [2], [3]]
    assert len(rows_with_equal_conditions((), 4)) == 1


def test_what_cannot_be_used_is_refused(gaussian, sequences):
    run, _ = gaussian
    nan = np.where(np.arange(3) == 1, np.nan, XS)
    for xs, words in ((XS[0], r"\(n, 3\)"), (XS[:0], "at least 1"), (nan, "finite")):
        with pytest.raises(ValueError, match=f"encode: .*{words}"):
            run.encode(xs)
    with pytest.raises(ValueError, match="at least 1; got 0"):
        run.sample(jax.random.key(0), 0)
    examples = sequences.examples("test")
    with pytest.raises(ValueError, match="log_likelihood: the model needs actions") as caught:
        sequences.log_likelihood(jax.random.key(0), examples.x)
    length, time = np.array(LENGTHS), examples.x.shape[1]
    assert str(caught.value).endswith("up to each length: np.arange(time) < length[:, None]")
    np.testing.assert_array_equal(np.arange(time) < length[:, None], examples.given.exists)
    with pytest.raises(ValueError, match=r"a dict of x, length: .*array of x.*given=vaejax"):
        sequences.encode({"x": examples.x, "length": length})
    with pytest.raises(ValueError, match=r"a dict of x: give the array of x alone$"):
        run.encode({"x": XS})
    with pytest.raises(ValueError, match=r"\(3, 8\), \(3, 8, 1\); got Conditions with \(2, 8\)"):
        sequences.encode(examples.x, given=rows_of(examples.given, slice(2)))
    with pytest.raises(ValueError, match="no p"):
        run_with(point_mass(2))[0].sample(jax.random.key(0), 2)


def test_whole_numbers_are_intensities_as_in_the_data_of_the_run(tmp_path):
    """As `vaejax encode` reads them, also of an image that is all dark."""
    stored = np.random.RandomState(1).randint(0, 256, (4, 3)).astype(np.uint8)
    stored[0] = (0, 1, 0)
    # One likelihood, and so one program.
    joint = Joint(
        standard_normal(2), lambda z: DiscretizedLogistic(jnp.full(3, z[0]), jnp.zeros(3), 255)
    )
    model = GenerativeModel(lambda key: (), lambda theta, given=(): joint)
    q = amortized(diagonal_gaussian(2), MLP((), (4,)), (3,))
    data = Dataset("grey", stored, stored, stored, 255, "none")
    run = a_run_of(data, model, q, Params((), q.init(jax.random.key(1))))
    np.save(tmp_path / "x.npy", stored)
    x = own_examples(tmp_path / "x.npy", run.data).examples.x
    for xs in (stored, stored[:1], stored.astype(int)):
        np.testing.assert_allclose(run.encode(xs).mean, run.encode(x[: len(xs)]).mean, rtol=1e-6)
    key = jax.random.key(0)
    found, expected = (run.log_likelihood(key, xs).value for xs in (stored, x))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"encode: expected values 0\.\.255, .*to 510"):
        run.encode(2 * stored.astype(int))
    with pytest.raises(ValueError, match=r"divide x by 255$"):
        run.encode(stored.astype(np.float32))


def test_a_model_without_z_has_no_code():
    gaussian = run_with(diagonal_gaussian(2))[0].joint().likelihood(jnp.zeros(2))
    model = GenerativeModel(
        lambda key: (), lambda theta, given=(): Joint(Empty(), lambda z: gaussian)
    )
    run = a_run(model, no_latent(), Params((), ()), XS)
    with pytest.raises(ValueError, match="no latent variable"):
        run.encode(XS)
    found = run.log_likelihood(jax.random.key(0), XS)
    np.testing.assert_allclose(found.value, jax.vmap(gaussian.log_prob)(XS), rtol=1e-5)


def test_tables_have_a_column_for_each_number(gaussian, tmp_path):
    run, _ = run_with(diagonal_gaussian(2), folder=tmp_path)
    run.directory.log({"step": 1, "value": -2.0, "validation": None})
    run.directory.log({"step": 2, "value": -1.0, "validation": -3.0, "kl": [0.5, 0.25]})
    metrics = run.metrics
    np.testing.assert_array_equal(metrics["step"], [1, 2])
    np.testing.assert_array_equal(metrics["validation"], [np.nan, -3.0])
    np.testing.assert_array_equal(metrics["kl/1"], [np.nan, 0.25])
    carry_out(run, MEASUREMENTS["evaluate"], Evaluate(num_samples=30))
    table = run.per_example
    assert {"iwae", "elbo"} <= set(table) and {v.shape for v in table.values()} == {(5,)}
    mean = run.evaluation["summary"]["elbo"]["mean"]
    np.testing.assert_allclose(table["elbo"].mean(), mean, rtol=1e-5)
