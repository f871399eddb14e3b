"""Measurements of a linear-Gaussian pair, z ~ N(0, 1), x | z ~ N(w z + b, s^2 I)."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests.runs import a_run, evaluated, whole
from vaejax.distributions import DiagonalGaussian, PointMass, standard_normal
from vaejax.errors import UserError
from vaejax.evaluation import Evaluate, mean_and_errors, summarize
from vaejax.evaluation.evaluate import evaluate, summarize_evaluation
from vaejax.types import GenerativeModel, InferenceNetwork, Joint, Params

S = 0.8
W = np.array([1.0, 0.5, -0.7], np.float32)
B = np.array([0.2, -0.1, 0.4], np.float32)
PRECISION = 1 + W @ W / S**2
XS = np.random.default_rng(0).normal(size=(105, 3)).astype(np.float32)

MODEL = GenerativeModel(
    init=lambda key: {"w": jnp.asarray(W), "b": jnp.asarray(B)},
    joint=lambda theta, given=(): Joint(
        standard_normal(1),
        lambda z: DiagonalGaussian(theta["w"] * z + theta["b"], jnp.full(3, np.log(S))),
    ),
)


def inference(distribution):
    """x -> distribution(posterior mean at phi = 1, ...)."""
    return InferenceNetwork(
        init=lambda key: jnp.ones(()),
        posterior=lambda phi, x, joint, given=(): distribution(
            phi * (x - B) @ W / S**2 / PRECISION
        ),
    )


EXACT = inference(lambda mean: DiagonalGaussian(mean[None], jnp.full(1, -0.5 * np.log(PRECISION))))
WIDER = inference(lambda mean: DiagonalGaussian(mean[None] + 0.1, jnp.full(1, -0.2)))
CODE = inference(lambda mean: PointMass(mean[None]))
PARAMS = Params(MODEL.init(None), EXACT.init(None))
NUM_SAMPLES = 30


@functools.cache
def measured(kind, n):
    network = {"exact": EXACT, "wider": WIDER, "code": CODE}[kind]
    return evaluated(MODEL, network, PARAMS, XS[:n], NUM_SAMPLES)


def exact_log_prob(xs):
    return scipy.stats.multivariate_normal(B, np.outer(W, W) + S**2 * np.eye(3)).logpdf(xs)


def posterior_means(xs):
    return (xs.astype(np.float64) - B) @ W / S**2 / PRECISION


@pytest.mark.parametrize("n", [1, 7, 105])
def test_exact_posterior_gives_log_p_of_each_x(n):
    """105 is a batch of 100 and a padded one: each x in its place, none twice."""
    arrays = measured("exact", n)
    assert {len(array) for array in arrays.values()} == {n}
    np.testing.assert_allclose(arrays["iwae"], np.atleast_1d(exact_log_prob(XS[:n])), atol=3e-5)
    np.testing.assert_allclose(arrays["elbo"], arrays["iwae"], atol=3e-5)
    np.testing.assert_allclose(arrays["ess"], NUM_SAMPLES, rtol=1e-4)
    assert np.all(arrays["iwae_std_error"] < 1e-3)
    assert np.all(arrays["elbo_std_error"] < 1e-5)


def test_a_linear_model_has_its_log_p_exactly_beside_the_bound():
    """Of a q that is not exact too; a point mass has none."""
    run = a_run(MODEL, WIDER, PARAMS, XS)
    parts = {part.name: part for part in evaluate(run, Evaluate(num_samples=30))}
    arrays = {name: whole(parts[name]) for name in ("bounds", "exact")}
    np.testing.assert_allclose(arrays["exact"]["log_p"], exact_log_prob(XS), rtol=1e-6)
    summary = summarize_evaluation(run, Evaluate(num_samples=30), arrays)
    assert summary["exact"].startswith("linear-Gaussian")
    assert summary["log_p"]["mean"] > summary["elbo"]["mean"]
    names = [part.name for part in evaluate(a_run(MODEL, CODE, PARAMS, XS), Evaluate())]
    assert "exact" not in names


def test_code_squared_error_and_kl_of_each_x():
    arrays, mean = measured("exact", 105), posterior_means(XS)
    np.testing.assert_allclose(arrays["code"][:, 0], mean, rtol=1e-4, atol=1e-5)
    squared_error = np.sum((XS - mean[:, None] * W - B) ** 2, axis=1)
    np.testing.assert_allclose(arrays["squared_error"], squared_error, rtol=1e-4, atol=1e-5)
    kl = 0.5 * (1 / PRECISION + mean**2 - 1 + np.log(PRECISION))
    np.testing.assert_allclose(arrays["kl_per_dimension"][:, 0], kl, rtol=1e-4, atol=1e-5)


def test_parts_of_the_elbo_have_their_exact_means():
    """Of NUM_SAMPLES draws each, over all x: E_q log p(x | z) and KL in closed form."""
    arrays = measured("wider", 105)
    mean, scale = posterior_means(XS) + 0.1, np.exp(-0.2)
    reconstruction = scipy.stats.norm(mean[:, None] * W + B, S).logpdf(XS).sum(-1)
    reconstruction -= scale**2 * (W @ W) / (2 * S**2)
    kl = 0.5 * (scale**2 + mean**2 - 1 + 0.4)
    for name, truth in (
        ("reconstruction", reconstruction),
        ("kl", kl),
        ("elbo", reconstruction - kl),
    ):
        errors = arrays[name].astype(np.float64) - truth
        assert abs(errors.mean()) < 4 * errors.std(ddof=1) / np.sqrt(105), name
        # What is stated is the size of those errors.
        stated = np.mean(arrays[f"{name}_std_error"].astype(np.float64) ** 2)
        assert 0.7 < np.mean(errors**2) / stated < 1.4, name


def test_a_subset_gives_the_same_numbers_as_the_whole():
    whole = measured("wider", 105)
    assert np.std(whole["iwae"] - exact_log_prob(XS)) > 1e-3  # it depends on the draws
    for n in (1, 7):
        part = measured("wider", n)
        assert set(part) == set(whole)
        for name, array in part.items():
            # k-hat is a fit to few weights, which rounding moves more.
            rtol = 2e-3 if name == "khat" else 1e-4
            np.testing.assert_allclose(array, whole[name][:n], rtol=rtol, atol=1e-5, err_msg=name)


def test_examples_have_keys_of_their_own():
    """The same x, at two places, is measured with other draws."""
    twice = evaluated(MODEL, WIDER, PARAMS, XS[[0] * 7], NUM_SAMPLES)
    assert len(np.unique(twice["iwae"])) == 7
    alone = np.repeat(measured("wider", 1)["code"], 7, axis=0)
    np.testing.assert_allclose(twice["code"], alone, rtol=1e-6)


def test_parameters_are_those_given():
    """With W = 0 the likelihood ignores z: log p(x) = log N(x; b, s^2 I), and q = p(z) is exact."""
    params = Params({"w": jnp.zeros(3), "b": jnp.asarray(2 * B)}, jnp.zeros(()))
    prior = inference(lambda mean: DiagonalGaussian(mean[None], jnp.zeros(1)))
    arrays = evaluated(MODEL, prior, params, XS[:7], NUM_SAMPLES)
    truth = scipy.stats.norm(2 * B, S).logpdf(XS[:7]).sum(-1)
    np.testing.assert_allclose(arrays["iwae"], truth, rtol=1e-5)
    assert not np.any(arrays["khat"] > 0.7)  # all weights are equal


def test_a_point_mass_is_measured_without_a_density():
    arrays, mean = measured("code", 105), posterior_means(XS)
    assert set(arrays) == {"code", "squared_error", "reconstruction"}
    log_likelihood = scipy.stats.norm(mean[:, None] * W + B, S).logpdf(XS).sum(-1)
    np.testing.assert_allclose(arrays["reconstruction"], log_likelihood, rtol=1e-5)
    np.testing.assert_allclose(arrays["code"][:, 0], mean, rtol=1e-4, atol=1e-5)


def test_a_log_density_that_is_not_finite_is_named():
    arrays = {"bounds": {"iwae": np.array([0.0, np.nan, -np.inf]), "elbo": np.zeros(3)}}
    run = a_run(MODEL, EXACT, PARAMS, XS[:3])
    with pytest.raises(UserError, match=r"2 of 3 examples .* \(first indices \[1, 2\]\)"):
        summarize_evaluation(run, Evaluate(), arrays)


def test_mean_and_errors_by_hand():
    result = mean_and_errors(np.array([1.0, 2.0, 6.0]), np.array([0.3, 0.0, 0.4]))
    assert result["n"] == 3
    assert result["mean"] == pytest.approx(3.0)
    # Sum of squares about 3: 4 + 1 + 9 = 14; sd^2 = 7; over n: 7 / 3.
    assert result["std_error_data"] == pytest.approx((7 / 3) ** 0.5)
    # sqrt(0.09 + 0.16) / 3
    assert result["std_error_monte_carlo"] == pytest.approx(0.5 / 3)


def test_monte_carlo_error_is_the_sd_of_the_mean_over_reruns():
    rng = np.random.default_rng(0)
    sds = rng.uniform(0.1, 2.0, size=20)
    reruns = rng.normal(5.0, sds, size=(4000, 20)).mean(axis=1)
    stated = mean_and_errors(np.full(20, 5.0), sds)["std_error_monte_carlo"]
    assert stated == pytest.approx(reruns.std(ddof=1), rel=4 / np.sqrt(2 * 4000))


def test_errors_that_do_not_exist_are_none():
    result = mean_and_errors(np.array([2.0]))
    assert result == {
        "mean": 2.0,
        "std_error_data": None,
        "std_error_monte_carlo": None,
        "n": 1,
    }


def test_means_are_accumulated_in_float64():
    values = np.array([1e8, 1.0, -1e8], np.float32)
    assert mean_and_errors(values)["mean"] == pytest.approx(1 / 3)


def test_summary():
    arrays = measured("wider", 105) | {"khat": np.array([0.1, 0.8, np.nan] * 35)}
    summary = summarize(arrays)
    assert summary["iwae"] == mean_and_errors(arrays["iwae"], arrays["iwae_std_error"])
    assert summary["elbo"] == mean_and_errors(arrays["elbo"], arrays["elbo_std_error"])
    assert summary["squared_error"]["std_error_monte_carlo"] is None
    assert summary["khat_above_0.7"] == 35
    assert summary["ess_median"] == pytest.approx(np.sort(arrays["ess"])[52])
    kl = np.mean(0.5 * (np.exp(-0.4) + (posterior_means(XS) + 0.1) ** 2 - 1 + 0.4))
    assert summary["kl_per_dimension"] == pytest.approx([kl], rel=1e-4)
    assert (summary["active_units"], summary["latent_dimensions"]) == (1, 1)


def test_active_units_are_those_whose_code_varies():
    """Variance over x above 0.01 (Burda et al. 2016): sd 0.09 is not, 0.11 is."""
    signs = np.where(np.arange(1000) % 2, 1.0, -1.0)
    code = 3.0 + signs[:, None] * np.array([0.0, 0.09, 0.11, 1.0])
    summary = summarize({"code": code})
    assert (summary["active_units"], summary["latent_dimensions"]) == (2, 4)


@pytest.mark.parametrize("settings", [{"num_samples": 0}, {"examples": 0}, {"examples": -1}])
def test_counts_below_one_are_refused(settings):
    (name, value), *_ = settings.items()
    with pytest.raises(UserError, match=f"{name} must be at least 1; got {value}"):
        Evaluate(**settings)
