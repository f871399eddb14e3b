"""The bounds where log p(x), the posterior and the ELBO are known: z ~ N(0, I),
x | z ~ N(W z + b, s^2 I)."""

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vaejax.distributions import DiagonalGaussian, PointMass, standard_normal
from vaejax.objectives import elbo, iwae
from vaejax.types import Joint

S = 0.8
B = np.array([0.2, -0.1, 0.4])
W1 = np.array([[1.0], [0.5], [-0.7]])
W2 = np.array([[1.0, 0.9], [0.5, -0.2], [-0.7, -0.4]])
X = np.array([1.0, -0.8, 0.5])


class WithoutKL(DiagonalGaussian):
    """A Gaussian whose KL distrax does not know."""

    def kl_divergence(self, other_dist, **kwargs):
        return distrax.Distribution.kl_divergence(self, other_dist, **kwargs)


def joint(w):
    return Joint(
        standard_normal(w.shape[1]),
        lambda z: DiagonalGaussian(w @ z + jnp.asarray(B), jnp.full(len(B), np.log(S))),
    )


def exact_log_prob(w):
    return scipy.stats.multivariate_normal(B, w @ w.T + S**2 * np.eye(len(B))).logpdf(X)


def exact_posterior(w):
    """Mean and covariance of p(z | X)."""
    covariance = np.linalg.inv(np.eye(w.shape[1]) + w.T @ w / S**2)
    return covariance @ w.T @ (X - B) / S**2, covariance


def best_diagonal(w):
    """Mean and scale of the diagonal Gaussian with the highest ELBO."""
    mean, covariance = exact_posterior(w)
    return mean, np.diag(np.linalg.inv(covariance)) ** -0.5


def exact_reconstruction(w, mean, scale):
    """E_q[log p(X | z)] = log p(X | mean) - sum_j scale_j^2 |W_j|^2 / 2 s^2."""
    at_mean = scipy.stats.norm(w @ mean + B, S).logpdf(X).sum()
    return at_mean - np.sum(scale**2 * np.sum(w**2, axis=0)) / (2 * S**2)


def exact_kl(mean, scale):
    return 0.5 * np.sum(scale**2 + mean**2 - 1 - 2 * np.log(scale))


WORSE = (np.array([0.9, -0.3]), np.array([0.6, 0.9]))  # mean and scale of some other q


@jax.jit
def elbo_draws(keys, mean, scale, beta):
    """Terms with the KL in closed form, and with its Monte Carlo estimate."""
    q, p = (mean, jnp.log(scale)), joint(W2 if mean.shape == (2,) else W1)
    return tuple(
        jax.vmap(lambda key, family=family: elbo(key, family(*q), p, X, beta=beta))(keys)
        for family in (DiagonalGaussian, WithoutKL)
    )


def iwae_draws(keys, w, mean, scale, num_samples):
    def one(key):
        q = DiagonalGaussian(jnp.asarray(mean), jnp.log(scale))
        return iwae(key, q, joint(w), X, num_samples=num_samples)

    return jax.jit(jax.vmap(one))(keys)


def keys(n=4000, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def z_score(draws, truth):
    """(mean - truth) in standard errors."""
    draws = np.asarray(draws, np.float64)
    return (draws.mean() - truth) / (draws.std(ddof=1) / np.sqrt(len(draws)))


@pytest.mark.parametrize("beta", [1.0, 0.0, 4.0])
@pytest.mark.parametrize("mean_and_scale", [best_diagonal(W2), WORSE], ids=["best", "worse"])
def test_mean_of_elbo_is_its_closed_form(mean_and_scale, beta):
    reconstruction = exact_reconstruction(W2, *mean_and_scale)
    kl = exact_kl(*mean_and_scale)
    analytic, monte_carlo = elbo_draws(keys(), *mean_and_scale, beta)
    np.testing.assert_allclose(analytic.metrics["kl"], kl, rtol=1e-5)  # the same for every draw
    assert abs(z_score(monte_carlo.metrics["kl"], kl)) < 4
    for terms in (analytic, monte_carlo):
        assert abs(z_score(terms.metrics["reconstruction"], reconstruction)) < 4
        assert abs(z_score(terms.value, reconstruction - beta * kl)) < 4


def test_gap_of_the_best_diagonal_q():
    """log p(x) - max ELBO = (sum_j log P_jj - log det P) / 2, P the posterior precision."""
    mean, scale = best_diagonal(W2)
    precision = np.linalg.inv(exact_posterior(W2)[1])
    gap = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    assert gap > 0.1
    for terms in elbo_draws(keys(seed=1), mean, scale, 1.0):
        assert abs(z_score(terms.value, exact_log_prob(W2) - gap)) < 4


def test_exact_posterior_gives_log_p_of_x_without_variance():
    """log p(x, z) - log q(z) is log p(x) at every z when the KL is taken at the same draw."""
    mean, covariance = exact_posterior(W1)
    analytic, monte_carlo = elbo_draws(keys(seed=2), mean, np.sqrt(np.diag(covariance)), 1.0)
    np.testing.assert_allclose(monte_carlo.value, exact_log_prob(W1), atol=2e-5)
    assert np.std(analytic.value) > 0.1
    assert abs(z_score(analytic.value, exact_log_prob(W1))) < 4


def test_a_distrax_posterior_with_correlations_is_exact():
    mean, covariance = exact_posterior(W2)
    assert abs(covariance[0, 1]) > 0.01
    q = distrax.MultivariateNormalTri(jnp.asarray(mean), jnp.linalg.cholesky(covariance))

    @jax.jit
    @jax.vmap
    def bounds(key):
        p = joint(W2)
        return elbo(key, q, p, X).value, iwae(key, q, p, X, num_samples=3).value

    for draws in bounds(keys(50)):
        np.testing.assert_allclose(draws, exact_log_prob(W2), atol=2e-5)


def test_mean_of_the_gradient_is_the_gradient_of_the_closed_form():
    """At the best diagonal q it is zero; elsewhere, central differences of the closed form."""

    @jax.jit
    @jax.vmap
    def gradients(key, v):
        return tuple(
            jax.grad(lambda v: elbo(key, family(v[:2], v[2:]), joint(W2), X).value)(v)  # noqa: B023
            for family in (DiagonalGaussian, WithoutKL)
        )

    def closed_form(v):
        mean, scale = v[:2], np.exp(v[2:])
        return exact_reconstruction(W2, mean, scale) - exact_kl(mean, scale)

    for mean, scale in (best_diagonal(W2), WORSE):
        v = np.concatenate([mean, np.log(scale)])
        steps = 1e-5 * np.eye(4)
        truth = np.array([(closed_form(v + h) - closed_form(v - h)) / 2e-5 for h in steps])
        if scale is not WORSE[1]:
            np.testing.assert_allclose(truth, 0, atol=1e-8)
        for draws in gradients(keys(), jnp.tile(v, (4000, 1))):
            for i in range(4):
                assert abs(z_score(draws[:, i], truth[i])) < 4


@pytest.mark.parametrize("bound", ["elbo", "elbo_monte_carlo", "iwae"])
def test_gradient_of_one_draw_against_finite_differences(bound):
    """With the key held fixed, the value is a smooth function of q, W, b and x."""

    def value(v):
        family = WithoutKL if bound == "elbo_monte_carlo" else DiagonalGaussian
        q, w, b, x = family(v[:2], v[2:4]), v[4:10].reshape(3, 2), v[10:13], v[13:]
        p = Joint(standard_normal(2), lambda z: DiagonalGaussian(w @ z + b, jnp.zeros(3)))
        if bound == "iwae":
            return iwae(jax.random.key(0), q, p, x, num_samples=3).value
        return elbo(jax.random.key(0), q, p, x, beta=0.7).value

    v = np.random.default_rng(0).normal(size=16)
    steps = 1e-5 * np.eye(16)
    with jax.enable_x64(True):
        many = jax.jit(jax.vmap(value))
        differences = (many(v + steps) - many(v - steps)) / 2e-5
        np.testing.assert_allclose(jax.jit(jax.grad(value))(v), differences, rtol=1e-6, atol=1e-7)


def test_mean_of_iwae_with_one_sample_is_the_elbo():
    draws = iwae_draws(keys(), W2, *WORSE, num_samples=1)
    reconstruction, kl = exact_reconstruction(W2, *WORSE), exact_kl(*WORSE)
    assert abs(z_score(draws.value, reconstruction - kl)) < 4


def test_mean_of_iwae_with_two_samples_is_a_two_dimensional_integral():
    """E log (w(z_1) + w(z_2)) / 2 by Gauss-Hermite quadrature."""
    mean, scale = np.array([0.3]), np.array([0.6])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z = mean + scale * nodes[:, None]
    log_w = (
        scipy.stats.norm.logpdf(z[:, 0])
        + scipy.stats.norm(z @ W1.T + B, S).logpdf(X).sum(-1)
        - scipy.stats.norm(mean, scale).logpdf(z[:, 0])
    )
    pairs = np.logaddexp(log_w[:, None], log_w[None, :]) - np.log(2)
    truth = weights @ pairs @ weights / weights.sum() ** 2
    one_sample = weights @ log_w / weights.sum()
    np.testing.assert_allclose(
        one_sample, exact_reconstruction(W1, mean, scale) - exact_kl(mean, scale), rtol=1e-8
    )
    draws = iwae_draws(keys(20_000), W1, mean, scale, num_samples=2).value
    assert abs(z_score(draws, truth)) < 4
    assert abs(z_score(draws, one_sample)) > 8  # the two bounds can be told apart


def test_iwae_rises_with_samples_towards_log_p_of_x():
    bounds = [
        np.asarray(iwae_draws(keys(seed=k), W2, *WORSE, num_samples=k).value, np.float64)
        for k in (1, 4, 16, 64)
    ]
    means = [bound.mean() for bound in bounds]
    errors = [bound.std(ddof=1) / np.sqrt(len(bound)) for bound in bounds]
    for k in range(3):
        assert means[k + 1] - means[k] > 3 * np.hypot(errors[k], errors[k + 1])
    assert means[3] < exact_log_prob(W2)
    assert means[3] > exact_log_prob(W2) - 0.2


def test_exponential_of_iwae_is_unbiased():
    mean, scale = best_diagonal(W2)
    for num_samples in (1, 16):
        draws = iwae_draws(keys(seed=5), W2, mean, 1.2 * scale, num_samples).value
        assert abs(z_score(np.exp(np.float64(draws) - exact_log_prob(W2)), 1.0)) < 3


def test_iwae_at_the_exact_posterior_is_log_p_of_x_for_every_draw():
    mean, covariance = exact_posterior(W1)
    for num_samples in (1, 16):
        draws = iwae_draws(keys(50), W1, mean, np.sqrt(np.diag(covariance)), num_samples)
        np.testing.assert_allclose(draws.value, exact_log_prob(W1), atol=2e-5)


def test_parts_of_iwae_are_plain_means():
    draws = iwae_draws(keys(seed=6), W2, *WORSE, num_samples=16)
    assert abs(z_score(draws.metrics["reconstruction"], exact_reconstruction(W2, *WORSE))) < 4
    assert abs(z_score(draws.metrics["kl"], exact_kl(*WORSE))) < 4


@pytest.mark.parametrize(
    "objective",
    [elbo, lambda *arguments: iwae(*arguments, num_samples=3)],
    ids=["elbo", "iwae"],
)
def test_a_point_mass_has_no_bound(objective):
    with pytest.raises(TypeError, match=r"no density.*reconstruction"):
        objective(jax.random.key(0), PointMass(jnp.zeros(2)), joint(W2), X)
