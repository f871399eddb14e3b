"""Mutual information where it is known: x ~ N(0, C), q(z | x) = N(A x, diag s^2), so that
q(z) = N(0, A C A' + diag s^2), and p(z) = N(0, I)."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.runs import evaluated
from tests.runs import examples as given
from vaejax.distributions import DiagonalGaussian, standard_normal
from vaejax.evaluation import latent_use, mean_and_errors, summarize, watch_latents
from vaejax.inference import amortized, inverse_autoregressive, parameter_count
from vaejax.networks import MLP
from vaejax.types import GenerativeModel, InferenceNetwork, Joint, Params

ROOT_C = np.random.default_rng(0).normal(size=(3, 3))
A = np.array([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6]])
SCALE = np.array([0.7, 0.5])


MODEL = GenerativeModel(
    init=lambda key: {},
    joint=lambda theta, given=(): Joint(
        standard_normal(2), lambda z: DiagonalGaussian(jnp.zeros(3), jnp.zeros(3))
    ),
)
# phi multiplies the mean.
ENCODER = InferenceNetwork(
    init=lambda key: jnp.ones(()),
    posterior=lambda phi, x, joint, given=(): DiagonalGaussian(
        phi * jnp.asarray(A, jnp.float32) @ x, jnp.asarray(np.log(SCALE), jnp.float32)
    ),
)
PARAMS = Params({}, jnp.ones(()))


def data(n, seed=0):
    noise = np.random.default_rng(seed).normal(size=(n, 3))
    return (noise @ ROOT_C.T).astype(np.float32)


def exact(factor=1.0):
    """I_q(x; z) = log det(Cov q(z) / diag s^2) / 2, and KL(q(z) || p(z))."""
    explained = factor**2 * A @ ROOT_C @ ROOT_C.T @ A.T
    covariance = explained + np.diag(SCALE**2)
    log_det = np.linalg.slogdet(covariance)[1]
    information = 0.5 * (log_det - 2 * np.log(SCALE).sum())
    return information, 0.5 * (np.trace(covariance) - 2 - log_det)


RUN = latent_use(MODEL, ENCODER)


@functools.cache
def measured(n, factor=1.0, seed=0):
    return RUN(jax.random.key(seed), Params({}, jnp.asarray(factor)), given(data(n, seed)))


def mean(arrays, name):
    return mean_and_errors(arrays[name], arrays[f"{name}_std_error"])


def test_many_examples_bracket_the_exact_values_closely():
    information, aggregate = exact()
    assert information > 0.5 and aggregate > 0.1
    arrays = measured(3000)
    for quantity, truth in (("information", information), ("aggregate_kl", aggregate)):
        lower, upper = (mean(arrays, f"{quantity}_{side}") for side in ("lower", "upper"))
        assert lower["mean"] < upper["mean"] < lower["mean"] + 0.02
        for side in (lower, upper):
            assert abs(side["mean"] - truth) < 4 * side["std_error_data"] + 0.01
            assert side["std_error_data"] < 0.05


def test_few_examples_bound_from_both_sides():
    """Expectations over data sets of 12, apart from the truth by many standard errors."""
    information, aggregate = exact()
    sets = [measured(12, seed=seed) for seed in range(300)]
    for quantity, truth in (("information", information), ("aggregate_kl", aggregate)):
        for side, sign in (("lower", -1), ("upper", 1)):
            means = np.array([np.mean(s[f"{quantity}_{side}"], dtype=np.float64) for s in sets])
            error = means.std(ddof=1) / len(means) ** 0.5
            assert sign * (means.mean() - truth) > 2.5 * error


def test_the_lower_bound_is_at_most_log_n():
    """Codes that never overlap: every example is told from the others, and no more is known."""
    arrays = measured(50, factor=1000.0)
    np.testing.assert_allclose(arrays["information_lower"], np.log(50), rtol=1e-4)
    assert exact(1000.0)[0] > np.log(50) + 4
    assert mean(arrays, "information_upper")["mean"] > exact(1000.0)[0]


def test_no_information_where_the_code_ignores_x():
    arrays = measured(40, factor=0.0)
    for side in ("lower", "upper"):
        np.testing.assert_allclose(arrays[f"information_{side}"], 0, atol=1e-5)
    found = mean(arrays, "aggregate_kl_upper")
    assert abs(found["mean"] - exact(0.0)[1]) < 4 * found["std_error_data"]


def test_mixtures_by_a_loop_over_pairs_and_blocks(monkeypatch):
    """The same in numpy; in one block, and in blocks that do not divide n."""
    n, xs, key = 7, data(7), jax.random.key(0)
    whole = measured(n)
    module = importlib.import_module("vaejax.evaluation.latent_use")
    monkeypatch.setattr(module, "_MAX_VALUES", 3 * n * 2 * 2)
    blocks = latent_use(MODEL, ENCODER)(key, PARAMS, given(xs))
    for name, values in whole.items():
        np.testing.assert_allclose(values, blocks[name], rtol=1e-4, atol=1e-5)
    for i in range(n):
        q = DiagonalGaussian(jnp.asarray(A @ xs[i], jnp.float32), jnp.log(SCALE))
        draws = q.sample(seed=jax.random.fold_in(key, i), sample_shape=(2,))
        lower, upper = [], []
        for z in np.asarray(draws, np.float64):
            noise = (z - xs @ A.T) / SCALE
            density = np.exp(-0.5 * np.sum(noise**2, axis=1))
            lower.append(np.log(density[i] / density.mean()))
            upper.append(np.log(density[i] / (np.delete(density, i).mean())))
        for side, values in (("lower", lower), ("upper", upper)):
            np.testing.assert_allclose(whole[f"information_{side}"][i], np.mean(values), rtol=1e-3)
            error = abs(values[0] - values[1]) / 2
            found = whole[f"information_{side}_std_error"][i]
            np.testing.assert_allclose(found, error, rtol=1e-3, atol=1e-5)


def test_lower_and_upper_add_up_to_the_kl():
    """The sum over both is log q - log p, whose mean is E KL(q(z | x) || p(z)) in closed form."""
    arrays, xs = measured(3000), data(3000)
    ours = arrays["information_lower"] + arrays["aggregate_kl_upper"]
    other = arrays["information_upper"] + arrays["aggregate_kl_lower"]
    np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-4)
    kl = 0.5 * np.sum((xs @ A.T) ** 2 + SCALE**2 - 1 - 2 * np.log(SCALE), axis=1)
    difference = ours - kl
    assert abs(difference.mean()) < 4 * difference.std(ddof=1) / 3000**0.5


def test_one_example_says_nothing():
    with pytest.raises(ValueError, match="at least 2 examples; got 1"):
        RUN(jax.random.key(0), PARAMS, given(data(1)))


@pytest.mark.parametrize(("factor", "active"), [(0.0, 0), (1.0, 2)])
def test_what_a_line_of_metrics_says(factor, active):
    xs = data(300)
    watch = watch_latents(MODEL, ENCODER, given(xs))
    line = watch(jax.random.key(0), Params({}, jnp.asarray(factor)))
    means = factor * xs.astype(np.float64) @ A.T
    kl = 0.5 * (SCALE**2 + means**2 - 1 - 2 * np.log(SCALE)).mean(axis=0)
    np.testing.assert_allclose(line["kl_per_dimension"], kl, atol=2e-5)
    assert line["active_units"] == np.sum(means.var(axis=0) > 0.01) == active
    information, aggregate = exact(factor)
    assert line["information_lower"] - 0.15 < information < line["information_upper"] + 0.15
    assert line["aggregate_kl_lower"] - 0.15 < aggregate < line["aggregate_kl_upper"] + 0.15


def test_no_unit_of_a_flow_is_active_where_it_ignores_x():
    """Its mean is that of draws, whose own variance is at the very threshold of 0.01."""
    flow = inverse_autoregressive(20, hidden=(4,))
    size = parameter_count(flow)
    encoder = amortized(flow, MLP((), (size,)), (3,))
    joint = Joint(standard_normal(20), lambda z: DiagonalGaussian(jnp.zeros(3), jnp.zeros(3)))
    model = GenerativeModel(lambda key: {}, lambda theta, given=(): joint)
    shapes = jax.eval_shape(encoder.init, jax.random.key(0))
    zeros = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), shapes)
    params, xs = Params({}, zeros), data(300)
    arrays = evaluated(model, encoder, params, xs, num_samples=10)
    assert arrays["code"].var(axis=0).max() > 0.01
    assert summarize(arrays)["active_units"] == 0
    assert watch_latents(model, encoder, given(xs))(jax.random.key(1), params)["active_units"] == 0
