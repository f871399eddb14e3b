"""Densities of codes against known ones; the ex-post model's log p(x) against the exact one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests.pairs import linear_gaussian
from tests.runs import examples
from vaejax import GenerativeModel, Joint
from vaejax.distributions import DiagonalGaussian, standard_normal
from vaejax.evaluation import ex_post_model, fit_code_density, fitted_log_likelihood
from vaejax.evaluation.gap_arithmetic import flags

KEY = jax.random.key(0)
UNITS = np.array([1e-2, 30.0])  # codes have no scale of their own


def gaussian_codes(n, seed=0):
    random = np.random.RandomState(seed)
    return UNITS * (random.randn(n, 2) @ np.array([[1.0, 0.8], [0.0, 0.6]])) + [0.0, 100.0]


def clusters():
    """Two correlated Gaussians apart, as scipy's."""
    correlated = np.array([[1.0, 0.9], [0.9, 1.0]])
    return [
        scipy.stats.multivariate_normal(UNITS * centre, np.outer(UNITS, UNITS) * sign * correlated)
        for centre, sign in (([-4, 0], 1), ([4, 0], np.array([[1, -1], [-1, 1]])))
    ]


def clustered_codes(n, seed=0):
    draws = [c.rvs(n // 2, random_state=seed + i) for i, c in enumerate(clusters())]
    return np.random.RandomState(seed).permutation(np.concatenate(draws))


def clustered_log_density(z):
    return scipy.special.logsumexp([c.logpdf(z) for c in clusters()], axis=0) - np.log(2)


def bent_codes(n, seed=0):
    """z_2 | z_1 ~ N(z_1^2, 0.2^2), z_1 ~ N(0, 1), in the units; and their log density."""
    random = np.random.RandomState(seed)
    first, noise = random.randn(2, n)
    log_density = scipy.stats.norm.logpdf(first) + scipy.stats.norm.logpdf(noise) - np.log(0.2)
    z = UNITS * np.stack([first, first**2 + 0.2 * noise], axis=1)
    return z, log_density - np.log(UNITS).sum()


@functools.cache
def fitted(kind, name):
    """One fit for all the tests that look at it."""
    codes = {"gaussian": gaussian_codes, "clustered": clustered_codes}.get(name)
    codes = codes or (lambda n, seed=0: bent_codes(n, seed)[0])
    return fit_code_density(KEY, kind, codes(2000), codes(1000, 1))


def log_density_of(kind, name, z):
    return np.asarray(jax.jit(fitted(kind, name).distribution.log_prob)(z), np.float64)


def test_gaussian_is_the_one_of_the_codes_moments():
    codes, z = gaussian_codes(2000), gaussian_codes(5, 2)
    exact = scipy.stats.multivariate_normal(codes.mean(0), np.cov(codes.T, bias=True)).logpdf(z)
    np.testing.assert_allclose(log_density_of("gaussian", "gaussian", z), exact, atol=1e-3)


def test_mixture_finds_the_clusters():
    z = clustered_codes(4000, 10)
    exact = clustered_log_density(z)
    assert len(fitted("mixture", "clustered").distribution.logits) >= 2
    assert 0 < np.mean(exact - log_density_of("mixture", "clustered", z)) < 0.03
    assert np.mean(exact - log_density_of("gaussian", "clustered", z)) > 0.5


def test_mixture_chooses_by_the_validation_codes():
    """One Gaussian is enough, where the training codes are few enough to overfit."""
    found = fit_code_density(KEY, "mixture", gaussian_codes(40), gaussian_codes(2000, 1))
    assert len(found.distribution.logits) == 1


def test_flow_bends():
    z, exact = bent_codes(4000, 10)
    loss = np.mean(exact - log_density_of("flow", "bent", z))
    assert 0 < loss < 0.25
    assert np.mean(exact - log_density_of("gaussian", "bent", z)) > 4 * loss


def test_flow_integrates_to_one():
    """With the Jacobian of its standardizing."""
    first, second = np.linspace(-5, 5, 400), np.linspace(-4, 26, 1200)
    grid = UNITS * np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    cell = UNITS.prod() * (first[1] - first[0]) * (second[1] - second[0])
    log_density = log_density_of("flow", "bent", grid)
    np.testing.assert_allclose(np.exp(log_density).sum() * cell, 1, atol=0.02)


@pytest.mark.parametrize("kind", ["gaussian", "mixture"])
def test_log_p_of_a_linear_gaussian_ex_post_model_is_exact(kind):
    """p(x) = sum_k w_k N(x; W m_k, W S_k W' + s^2 I)."""
    noise = 0.5
    weights = np.array([[1.0, 0.6], [0.5, -0.4], [-0.7, 0.9]]) / UNITS
    model, _ = linear_gaussian(weights, noise)
    code_density = fitted(kind, "clustered")
    density = code_density.distribution
    ex_post = ex_post_model(model, code_density.density)
    theta = model.init(KEY), code_density.parameters
    joint = ex_post.joint(theta)
    if kind == "gaussian":
        codes = clustered_codes(2000)
        shares, means, covariances = [1.0], [codes.mean(0)], [np.cov(codes.T, bias=True)]
    else:
        factors = np.asarray(density.factors, np.float64)
        shares = scipy.special.softmax(np.asarray(density.logits, np.float64))
        means = np.asarray(density.means)
        covariances = factors @ factors.transpose(0, 2, 1)
    _, xs = jax.jit(jax.vmap(joint.sample))(jax.random.split(KEY, 8))
    xs = np.asarray(xs)
    components = [
        np.log(share)
        + scipy.stats.multivariate_normal(
            weights @ mean, weights @ covariance @ weights.T + noise**2 * np.eye(3)
        ).logpdf(xs)
        for share, mean, covariance in zip(shares, means, covariances, strict=True)
    ]
    exact = scipy.special.logsumexp(components, axis=0)
    starts = np.linalg.lstsq(weights, xs.T, rcond=None)[0].T.astype(np.float32)
    found = fitted_log_likelihood(
        KEY,
        ex_post,
        theta,
        starts,
        examples(xs),
        num_samples=1000,
        max_steps=500,
    )
    assert found["log_p_std_error"].max() < 0.2 and not found["fit_diverged"].any()
    assert flags(found) == {}
    for name in ("log_p", "importance"):
        error = np.sqrt(np.mean(found[f"{name}_std_error"] ** 2) / len(xs))
        assert abs(np.mean(found[name] - exact)) < 4 * error + 2e-3
        np.testing.assert_allclose(found[name], exact, atol=0.5)


def test_a_posterior_of_two_modes_of_which_the_fit_has_one_is_flagged():
    """x = z^2 + noise; log 2 nats are missing, except where a chain crosses to the other mode."""
    joint = Joint(standard_normal(1), lambda z: DiagonalGaussian(z**2, jnp.full(1, -1.0)))
    model = GenerativeModel(lambda key: (), lambda theta, given=(): joint)
    xs, starts = np.full((8, 1), 1.5, np.float32), np.full((8, 1), 1.2, np.float32)
    found = fitted_log_likelihood(KEY, model, (), starts, examples(xs), max_steps=300)
    grid = np.linspace(-6, 6, 40_001)
    log_f = scipy.stats.norm.logpdf(grid) + scipy.stats.norm.logpdf(1.5, grid**2, np.exp(-1))
    half = np.log(np.exp(log_f[grid > 0]).sum() * (grid[1] - grid[0]))
    np.testing.assert_allclose(found["importance"], half, atol=0.05)
    off = half + np.log(2) - found["log_p"] > 0.5
    assert off.sum() >= 4 and found["missed"][off].mean() > 0.8
    (flagged,) = [examples for reason, examples in flags(found).items() if "misses" in reason]
    np.testing.assert_array_equal(flagged, np.flatnonzero(found["missed"]))


def test_ex_post_model_keeps_the_decoder():
    model, _ = linear_gaussian(np.ones((3, 2)), 0.5)
    code_density = fitted("gaussian", "gaussian")
    density, theta = code_density.distribution, model.init(KEY)
    before = model.joint(theta)
    after = ex_post_model(model, code_density.density).joint((theta, code_density.parameters))
    x, z = np.ones(3, np.float32), np.float32([0.01, 90.0])

    @jax.jit
    def found_and_expected():
        expected = density.log_prob(z) + before.likelihood(z).log_prob(x)
        return after.log_prob(x, z), expected

    np.testing.assert_allclose(*found_and_expected(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "mixture", "flow"])
def test_a_dimension_that_does_not_vary_is_given_a_narrow_density(kind):
    codes = np.concatenate([np.random.RandomState(0).randn(300, 1), np.full((300, 1), 7.0)], axis=1)
    density = fit_code_density(KEY, kind, codes[:200], codes[200:]).distribution

    @jax.jit
    def log_density_and_draws():
        return density.log_prob(codes), density.sample(seed=KEY, sample_shape=(100,))

    log_density, z = log_density_and_draws()
    assert np.isfinite(log_density).all()
    np.testing.assert_allclose(z[:, 1], 7.0, atol=1e-3)


def test_codes_keep_their_shape():
    codes = np.random.RandomState(0).randn(200, 2, 2)
    for kind in ("gaussian", "mixture"):
        density = fit_code_density(KEY, kind, codes[:100], codes[100:]).distribution
        assert density.event_shape == density.sample(seed=KEY).shape == (2, 2)
        assert density.log_prob(codes[0]).shape == ()


GOOD = np.random.RandomState(0).randn(20, 2)


@pytest.mark.parametrize(
    "kind, train, validation, message",
    [
        ("gaussian", np.where(GOOD > 1, np.nan, GOOD), GOOD, "expected finite codes"),
        (
            "mixture",
            GOOD,
            np.where(GOOD > 1, np.inf, GOOD),
            "expected finite codes; 8 of the 20 validation codes",
        ),
        ("gaussian", np.ones((20, 2)), GOOD, "are the same"),
        ("mixture", GOOD, GOOD[:0], "1 validation codes"),
        ("gaussian", GOOD[:1], GOOD, "2 training codes"),
        ("flow", GOOD, GOOD[:, :1], "give both the same shape"),
        ("kernel", GOOD, GOOD, "expected a kind of"),
    ],
)
def test_codes_that_have_no_density_are_refused(kind, train, validation, message):
    with pytest.raises(ValueError, match=message):
        fit_code_density(KEY, kind, train, validation)


def test_codes_of_another_shape_than_z_are_refused():
    model, _ = linear_gaussian(np.ones((3, 2)), 0.5)
    with pytest.raises(ValueError, match=r"got shape \(4, 3\)"):
        xs = examples(np.ones((4, 3)))
        fitted_log_likelihood(KEY, model, model.init(KEY), np.ones((4, 3)), xs)
