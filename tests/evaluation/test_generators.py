"""The control of a comparison: a density fitted to the codes of a model that has a p(z), against
the exact one of a linear-Gaussian model."""

import jax
import numpy as np
import pytest
import scipy.stats

from tests.pairs import linear_gaussian
from tests.runs import a_run
from vaejax import InferenceNetwork
from vaejax.distributions import DiagonalGaussian
from vaejax.evaluation import Compare
from vaejax.evaluation.comparison import measure_model, values_themselves
from vaejax.evaluation.generators import generators_of
from vaejax.types import Params

KEY = jax.random.key(0)
WEIGHTS, NOISE = np.array([[1.0, 0.5], [1.0, -0.5], [1.0, 0.0]]), 0.8  # orthogonal columns
PRECISION = np.eye(2) + WEIGHTS.T @ WEIGHTS / NOISE**2
VARIANCES = 1 / np.diag(PRECISION)  # of p(z | x) where p(z) = N(0, I)
GAIN = np.diag(VARIANCES) @ WEIGHTS.T / NOISE**2  # E[z | x] = GAIN x


def observed(n, mean, scale, seed):
    """x of z ~ N(mean, scale^2 I)."""
    random = np.random.RandomState(seed)
    z = mean + scale * random.randn(n, 2)
    return (z @ WEIGHTS.T + NOISE * random.randn(n, 3)).astype(np.float32)


def a_vae(mean, scale):
    """With p(z) = N(0, I), its exact q, and data whose codes are another Gaussian's."""
    model, log_marginal = linear_gaussian(WEIGHTS, NOISE)
    log_scale = 0.5 * np.log(VARIANCES).astype(np.float32)
    q = InferenceNetwork(
        lambda key: GAIN.astype(np.float32),
        lambda phi, x, joint, given=(): DiagonalGaussian(phi @ x, log_scale),
    )
    params = Params(model.init(KEY), q.init(KEY))
    train, test = observed(6000, mean, scale, 0), observed(1000, mean, scale, 1)
    return a_run(model, q, params, test, train), test, log_marginal


def aggregate(mean, scale):
    """Moments of q(z) = E_x[q(z | x)]."""
    of_x = scale**2 * WEIGHTS @ WEIGHTS.T + NOISE**2 * np.eye(3)
    return GAIN @ WEIGHTS @ (mean * np.ones(2)), GAIN @ of_x @ GAIN.T + np.diag(VARIANCES)


def log_p(xs, mean, covariance):
    """Of z ~ N(mean, covariance)."""
    of_x = WEIGHTS @ covariance @ WEIGHTS.T + NOISE**2 * np.eye(3)
    return scipy.stats.multivariate_normal(WEIGHTS @ mean, of_x).logpdf(xs)


@pytest.mark.parametrize("mean, scale, gains", [(2.0, 0.5, True), (0.0, 1.0, False)])
def test_it_is_the_aggregate_posterior_and_no_worse_than_the_prior(mean, scale, gains):
    """Of held-out x; with the width of q, which its means do not have."""
    run, test, log_marginal = a_vae(mean, scale)
    ways = generators_of(KEY, run, kinds=("gaussian",), chain_steps=1)
    assert [way.name for way in ways] == ["prior", "ex-post gaussian"]
    _, means, factors = (np.asarray(v, np.float64) for v in ways[1].theta[1])
    fitted = means[0], factors[0] @ factors[0].T
    for found, exact in zip(fitted, aggregate(mean, scale), strict=True):
        np.testing.assert_allclose(found, exact, atol=0.08)
    gain = log_p(test, *fitted) - log_marginal(test)
    error = gain.std(ddof=1) / len(gain) ** 0.5
    assert gain.mean() > (4 * error if gains else -4 * error)
    assert gains or abs(gain.mean()) < 0.01


def test_it_is_measured_as_an_autoencoder_with_a_density_is():
    run, test, _ = a_vae(2.0, 0.5)
    settings = Compare(
        examples=6, samples=40, num_chains=8, num_temperatures=20, ex_post=("gaussian",)
    )
    arrays, summary = measure_model(KEY, run, values_themselves(), settings)
    exact = log_p(test[:6], *aggregate(2.0, 0.5))
    error = arrays["ex-post gaussian/log_p_std_error"]
    assert np.all(np.abs(arrays["ex-post gaussian/log_p"] - exact) < 4 * error + 0.05)
    found = summary["generators"]["ex-post gaussian"]
    assert found["log_p"]["kind"] == "estimated" and np.isfinite(found["quality"]["mmd"]["value"])
    assert "5,000 training codes, drawn from q(z | x)" in found["how"]
