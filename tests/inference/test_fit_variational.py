"""lambda optimized for each x, where the best q and its gap are known in closed form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.distributions import DiagonalGaussian, standard_normal
from vaejax.inference import diagonal_gaussian, fit_variational, full_gaussian, point_mass
from vaejax.objectives import maximum_a_posteriori
from vaejax.types import Joint

LATENT, OBSERVED, EXAMPLES = 3, 5, 4
WEIGHTS = np.random.RandomState(0).randn(OBSERVED, LATENT)
PRECISION = np.eye(LATENT) + 2 * WEIGHTS.T @ WEIGHTS  # of z given x; the noise has variance 1/2
XS = np.random.RandomState(1).randn(EXAMPLES, OBSERVED)
MEANS = 2 * XS @ WEIGHTS @ np.linalg.inv(PRECISION)
SIGN, LOG_DET = np.linalg.slogdet(PRECISION)
GAP = 0.5 * (np.log(np.diag(PRECISION)).sum() - LOG_DET)  # of the best diagonal q
JOINT = Joint(
    standard_normal(LATENT),
    lambda z: DiagonalGaussian(
        jnp.asarray(WEIGHTS, jnp.float32) @ z, jnp.full(OBSERVED, 0.5 * np.log(0.5))
    ),
)
KEYS = jax.random.split(jax.random.key(0), EXAMPLES)


def log_p(xs):
    covariance = WEIGHTS @ WEIGHTS.T + 0.5 * np.eye(OBSERVED)
    _, log_det = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (log_det + np.sum(xs * np.linalg.solve(covariance, xs.T).T, axis=1))


def kl(means, covariances):
    """KL(N(mean, covariance) || p(z | x)) for each example."""
    away = means - MEANS
    trace = np.trace(PRECISION @ covariances, axis1=1, axis2=2)
    log_dets = np.linalg.slogdet(covariances)[1]
    return 0.5 * (trace + np.sum(away @ PRECISION * away, axis=1) - LATENT - LOG_DET - log_dets)


def gap_of(family, variational):
    """The exact gap of each fitted Gaussian."""
    qs = jax.vmap(lambda v: family.distribution(v).loc)(variational)
    scales = np.exp(np.asarray(variational["log_scale"], np.float64))
    lower = np.eye(LATENT) + np.zeros((EXAMPLES, LATENT, LATENT))
    if "lower" in variational:
        lower[:, *np.tril_indices(LATENT, -1)] = variational["lower"]
    factors = scales[:, :, None] * lower
    return kl(np.asarray(qs, np.float64), factors @ factors.transpose(0, 2, 1))


@functools.cache
def fitted(family, **settings):
    def one(key, x):
        return fit_variational(key, family, JOINT, x, **dict(settings))

    return jax.jit(jax.vmap(one))(KEYS, jnp.asarray(XS, jnp.float32))


DIAGONAL, FULL = diagonal_gaussian(LATENT), full_gaussian(LATENT)


def test_the_best_diagonal_q_has_the_diagonal_of_the_precision():
    variational, trace = fitted(DIAGONAL, num_samples=64)
    assert np.all(trace.converged)
    assert not np.any(trace.diverged)
    np.testing.assert_allclose(gap_of(DIAGONAL, variational), GAP, atol=1e-3)
    precision = np.exp(-2 * np.asarray(variational["log_scale"], np.float64))
    np.testing.assert_allclose(precision, np.tile(np.diag(PRECISION), (EXAMPLES, 1)), rtol=0.05)
    np.testing.assert_allclose(variational["mean"], MEANS, atol=0.02)


def test_the_best_full_q_is_the_posterior():
    variational, _ = fitted(FULL, num_samples=64)
    np.testing.assert_allclose(gap_of(FULL, variational), 0.0, atol=1e-3)


def test_one_draw_a_step_is_enough_for_a_hundredth_of_a_nat():
    variational, trace = fitted(DIAGONAL)
    assert np.all(gap_of(DIAGONAL, variational) - GAP < 0.02)
    assert len(set(trace.steps.tolist())) > 1  # each stops by itself


def test_the_second_order_method_takes_few_steps():
    variational, trace = fitted(DIAGONAL, method="lbfgs", num_samples=400, max_steps=100)
    assert np.all(trace.converged)
    assert np.all(trace.steps < 40)
    assert np.all(gap_of(DIAGONAL, variational) - GAP < 0.03)


def test_the_bound_is_that_of_fresh_draws():
    variational, trace = fitted(DIAGONAL)
    exact = log_p(XS) - gap_of(DIAGONAL, variational)
    assert np.all(np.abs(trace.bound - exact) < 4 * trace.bound_std_error)
    assert np.all(trace.bound_std_error < 0.05)


def test_the_path_rises_to_the_bound_and_ends_with_the_steps():
    _, trace = fitted(DIAGONAL)
    for path, steps, bound in zip(trace.path, trace.steps, trace.bound, strict=True):
        assert np.isfinite(path[: steps // 20]).all()
        assert np.isnan(path[steps // 20 :]).all()
        assert path[0] < bound - 0.3
        assert abs(np.mean(path[steps // 20 - 5 : steps // 20]) - bound) < 0.4


def test_no_example_depends_on_its_batch():
    together, _ = fitted(DIAGONAL)
    alone, _ = jax.jit(lambda key, x: fit_variational(key, DIAGONAL, JOINT, x))(
        KEYS[2], jnp.asarray(XS[2], jnp.float32)
    )
    for name in together:
        np.testing.assert_allclose(alone[name], together[name][2], atol=1e-4)


def test_from_the_optimum_there_is_nothing_to_gain():
    best, _ = fitted(DIAGONAL, num_samples=64)

    def one(key, x, init):
        return fit_variational(key, DIAGONAL, JOINT, x, init=init, learning_rate=0.01)

    variational, trace = jax.jit(jax.vmap(one))(KEYS, jnp.asarray(XS, jnp.float32), best)
    assert np.all(gap_of(DIAGONAL, variational) - GAP < 0.02)
    assert np.all(np.abs(trace.path[:, 0] - (log_p(XS) - GAP)) < 1.5)


def test_a_point_mass_finds_the_mode():
    family = point_mass(LATENT)
    variational, _ = fitted(family, objective=maximum_a_posteriori, num_final_samples=2)
    np.testing.assert_allclose(variational["location"], MEANS, atol=1e-3)


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_an_example_that_diverges_says_so_and_leaves_the_others(method):
    class Broken(DiagonalGaussian):
        def log_prob(self, value):
            return jnp.where(value[0] == 7.0, jnp.nan, super().log_prob(value))

    joint = Joint(JOINT.prior, lambda z: Broken(*_parts(JOINT.likelihood(z))))
    xs = jnp.asarray(XS, jnp.float32).at[1, 0].set(7.0)

    def one(key, x):
        return fit_variational(key, DIAGONAL, joint, x, method=method, max_steps=200)

    variational, trace = jax.jit(jax.vmap(one))(KEYS, xs)
    assert trace.diverged.tolist() == [False, True, False, False]
    assert not trace.converged[1]
    assert np.isnan(trace.bound[1])
    assert np.isfinite(np.delete(trace.bound, 1)).all()
    assert np.isfinite(variational["mean"]).all()


def _parts(q):
    return q.loc, q.log_scale


def test_what_cannot_be_fitted():
    x = jnp.asarray(XS[0], jnp.float32)
    fit = functools.partial(fit_variational, KEYS[0])
    with pytest.raises(ValueError, match=r"z has shape \(2,\), the model's prior \(3,\)"):
        fit(diagonal_gaussian(2), JOINT, x)
    with pytest.raises(ValueError, match="num_samples must be a whole number, at least 1; got 0"):
        fit(DIAGONAL, JOINT, x, num_samples=0)
    with pytest.raises(ValueError, match="multiple of 100; got 150"):
        fit(DIAGONAL, JOINT, x, max_steps=150)
    with pytest.raises(ValueError, match="learning_rate must be above 0; got -1"):
        fit(DIAGONAL, JOINT, x, learning_rate=-1)
    with pytest.raises(ValueError, match="method is one of"):
        fit(DIAGONAL, JOINT, x, method="newton")
    with pytest.raises(TypeError, match="point mass has no density"):
        fit(point_mass(LATENT), JOINT, x)


def test_the_settings_of_gaps_reach_the_optimum_in_twenty_dimensions():
    """Of the noise of the draws little is left: 8 a step, from N(0, I)."""
    weights = np.random.RandomState(3).randn(40, 20) / np.sqrt(20)
    precision = np.eye(20) + 2 * weights.T @ weights
    gap = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    joint = Joint(
        standard_normal(20),
        lambda z: DiagonalGaussian(
            jnp.asarray(weights, jnp.float32) @ z, jnp.full(40, 0.5 * np.log(0.5))
        ),
    )
    x = jnp.zeros(40)
    fit = jax.jit(lambda key: fit_variational(key, diagonal_gaussian(20), joint, x, num_samples=8))
    variational, trace = fit(jax.random.key(0))
    assert trace.converged
    # KL of a diagonal Gaussian to the posterior, which has mean 0 at this x.
    mean = np.asarray(variational["mean"], np.float64)
    variance = np.exp(2 * np.asarray(variational["log_scale"], np.float64))
    excess = 0.5 * (
        np.sum(np.diag(precision) * variance)
        + mean @ precision @ mean
        - 20
        - np.linalg.slogdet(precision)[1]
        - np.log(variance).sum()
    )
    assert 0 <= excess - gap < 0.02


@pytest.mark.parametrize(("size", "draws"), [(5, 1), (10, 8)])
def test_a_full_gaussian_reaches_an_ill_conditioned_posterior(size, draws):
    """Precisions from 1 to 1000 along axes that are no coordinates."""
    noise = np.random.RandomState(5)
    axes = np.linalg.qr(noise.randn(size, size))[0]
    weights = (axes * np.sqrt(np.geomspace(1, 1e3, size) - 1)).T
    precision = np.eye(size) + weights.T @ weights
    xs = noise.randn(3, size) @ weights.T + noise.randn(3, size)
    joint = Joint(
        standard_normal(size),
        lambda z: DiagonalGaussian(jnp.asarray(weights, jnp.float32) @ z, jnp.zeros(size)),
    )

    def one(key, x):
        return fit_variational(key, full_gaussian(size), joint, x, num_samples=draws)

    fitted, trace = jax.jit(jax.vmap(one))(KEYS[:3], jnp.asarray(xs, jnp.float32))
    assert trace.converged.all()
    for x, mean, log_scale, entries in zip(
        xs, fitted["mean"], fitted["log_scale"], fitted["lower"], strict=True
    ):
        lower = np.eye(size)
        lower[np.tril_indices(size, -1)] = entries
        factor = np.exp(np.asarray(log_scale, np.float64))[:, None] * lower
        away = np.asarray(mean, np.float64) - np.linalg.solve(precision, weights.T @ x)
        gap = 0.5 * (
            np.trace(precision @ factor @ factor.T)
            + away @ precision @ away
            - size
            - np.linalg.slogdet(precision)[1]
            - 2 * log_scale.sum()
        )
        assert 0 <= gap < 0.05
