"""Gradients that run through the draws alone, where the truth is known: z ~ N(0, I),
x | z ~ N(W z + b, s^2 I)."""

import functools

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.objectives.test_linear_gaussian import (
    W1,
    W2,
    WORSE,
    B,
    S,
    X,
    best_diagonal,
    exact_kl,
    exact_posterior,
    exact_reconstruction,
    keys,
    z_score,
)
from tests.objectives.test_linear_gaussian import joint as joint_of
from vaejax.distributions import DiagonalGaussian, PointMass, standard_normal
from vaejax.objectives import doubly_reparameterized, elbo, iwae, sticking_the_landing

JOINT = joint_of(W2)


def value(objective, key, lam, weights, **settings):
    """The objective as a function of q's (mean, log scale) and of W."""
    half = len(lam) // 2
    q = DiagonalGaussian(lam[:half], lam[half:])
    return objective(key, q, joint_of(weights), X, **settings).value


@functools.partial(jax.jit, static_argnames=("objective", "num_samples"))
def draws_of_gradient(objective, keys, lam, weights, **settings):
    def loss(key, lam, weights):
        return value(objective, key, lam, weights, **settings)

    return jax.vmap(jax.grad(loss, (1, 2)), (0, None, None))(keys, lam, weights)


def gradients(objective, n, mean, scale, weights, seed=0, **settings):
    """n draws of the gradient: of (mean, log scale), and of W."""
    lam = np.concatenate([mean, np.log(scale)])
    of_q, of_p = draws_of_gradient(objective, keys(n, seed), lam, weights, **settings)
    return np.asarray(of_q, np.float64), np.asarray(of_p, np.float64)


def closed_form_gradient(mean, scale):
    def bound(lam):
        mean, scale = lam[:2], np.exp(lam[2:])
        return exact_reconstruction(W2, mean, scale) - exact_kl(mean, scale)

    lam, steps = np.concatenate([mean, np.log(scale)]), 1e-5 * np.eye(4)
    return np.array([(bound(lam + h) - bound(lam - h)) / 2e-5 for h in steps])


def test_sticking_the_landing_has_no_variance_at_the_exact_posterior():
    mean, covariance = exact_posterior(W1)
    where = mean, np.sqrt(np.diag(covariance)), W1
    of_q, _ = gradients(sticking_the_landing, 200, *where)
    np.testing.assert_allclose(of_q, 0, atol=2e-5)
    assert gradients(elbo, 200, *where)[0].std(axis=0).min() > 0.1
    for num_samples in (1, 8):
        of_q, _ = gradients(doubly_reparameterized, 200, *where, num_samples=num_samples)
        np.testing.assert_allclose(of_q, 0, atol=2e-5)
        assert gradients(iwae, 200, *where, num_samples=num_samples)[0].std(axis=0).min() > 0.1


@pytest.mark.parametrize("where", [best_diagonal(W2), WORSE], ids=["best", "worse"])
def test_mean_of_sticking_the_landing_is_the_gradient_of_the_elbo(where):
    of_q, _ = gradients(sticking_the_landing, 8000, *where, W2)
    truth = closed_form_gradient(*where)
    for i in range(4):
        assert abs(z_score(of_q[:, i], truth[i])) < 4
    if where is WORSE:
        assert np.abs(truth).max() > 0.1


def test_values_are_those_of_iwae():
    q = DiagonalGaussian(*(jnp.asarray(v) for v in WORSE))

    @jax.jit
    def both(key):
        one, many = {"num_samples": 1}, {"num_samples": 6}
        return [
            (doubly_reparameterized(key, q, JOINT, X, **many), iwae(key, q, JOINT, X, **many)),
            (doubly_reparameterized(key, q, JOINT, X, **one), iwae(key, q, JOINT, X, **one)),
            (sticking_the_landing(key, q, JOINT, X), iwae(key, q, JOINT, X, **one)),
        ]

    for key in keys(5):
        for ours, theirs in both(key):
            assert ours.metrics.keys() == theirs.metrics.keys()
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, theirs)


@pytest.mark.parametrize("num_samples", [2, 16])
def test_doubly_reparameterized_has_the_mean_of_iwae_and_less_variance(num_samples):
    plain, plain_p = gradients(iwae, 20_000, *WORSE, W2, num_samples=num_samples)
    dreg, dreg_p = gradients(doubly_reparameterized, 20_000, *WORSE, W2, num_samples=num_samples)
    other, _ = gradients(iwae, 20_000, *WORSE, W2, seed=1, num_samples=num_samples)
    for i in range(4):
        assert abs(z_score(dreg[:, i] - other[:, i], 0.0)) < 4  # independent draws
        assert abs(z_score(dreg[:, i] - plain[:, i], 0.0)) < 4  # the same ones
    assert dreg.var(axis=0).sum() < 0.5 * plain.var(axis=0).sum()
    # The decoder's gradient is the same number, draw by draw.
    np.testing.assert_allclose(dreg_p, plain_p, rtol=2e-4, atol=2e-5)


def test_doubly_reparameterized_by_its_formula():
    """sum_k v_k^2 (d log w_k / d z_k) (d z_k / d lambda), with everything derived by hand; and
    whatever the bound is multiplied by multiplies it once."""
    num_samples, (mean, scale) = 5, WORSE
    key = jax.random.key(3)
    z = np.asarray(
        DiagonalGaussian(jnp.asarray(mean), jnp.log(scale)).sample(seed=key, sample_shape=(5,)),
        np.float64,
    )
    noise = (z - mean) / scale
    residual = X - B - z @ W2.T
    log_w = -0.5 * np.sum(residual**2, -1) / S**2 - 0.5 * np.sum(z**2, -1)
    log_w += 0.5 * np.sum(noise**2, -1)
    weights = np.exp(log_w - log_w.max())
    weights /= weights.sum()
    assert 0.05 < np.sort(weights)[-2]  # more than one counts
    by_z = residual @ W2 / S**2 - z + noise / scale
    expected = np.concatenate([weights**2 @ by_z, weights**2 @ (by_z * noise * scale)])
    lam = jnp.concatenate([jnp.asarray(mean), jnp.log(scale)])

    def loss(lam, factor):
        return factor * value(
            doubly_reparameterized, key, lam, jnp.asarray(W2), num_samples=num_samples
        )

    gradient = jax.jit(jax.grad(loss))
    for factor in (1.0, -0.01):
        found = gradient(lam, factor)
        np.testing.assert_allclose(found, factor * expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("shared", [False, True])
def test_one_example_of_a_batch_does_not_weigh_another(shared):
    """The gradient of a batch's mean is the mean of gradients, also where all have the same z."""
    random = np.random.default_rng(0)
    lam, xs = jnp.asarray(random.normal(size=4), jnp.float32), random.normal(size=(3, 3))
    q_keys = jnp.repeat(keys(1), 3) if shared else keys(3)

    @jax.jit
    def one(lam, key, x):
        q = DiagonalGaussian(lam[:2], lam[2:])
        return doubly_reparameterized(key, q, JOINT, x, num_samples=4).value

    @jax.jit
    def batch(lam):
        in_axes = (None, None, 0) if shared else (None, 0, 0)
        bounds = jax.vmap(one, in_axes)(lam, q_keys[0] if shared else q_keys, jnp.asarray(xs))
        return jnp.mean(bounds)

    gradient = jax.jit(jax.grad(one))
    apart = np.mean([gradient(lam, q_keys[i], xs[i]) for i in range(3)], axis=0)
    np.testing.assert_allclose(jax.jit(jax.grad(batch))(lam), apart, rtol=1e-4)


def test_correlations_are_held_fixed_too():
    """A full covariance: at the exact posterior nothing is left."""
    mean, covariance = exact_posterior(W2)
    root = jnp.linalg.cholesky(jnp.asarray(covariance))

    def bound(root, key):
        q = distrax.MultivariateNormalTri(jnp.asarray(mean), root)
        return sticking_the_landing(key, q, JOINT, X).value

    of_q = jax.jit(jax.vmap(jax.grad(bound), (None, 0)))(root, keys(20))
    np.testing.assert_allclose(of_q, 0, atol=1e-4)


class Elsewhere:
    """A q that is no pytree: its parameters cannot be held fixed from outside."""

    def __init__(self):
        self.q = standard_normal(2)

    def __getattr__(self, name):
        return getattr(self.q, name)


@pytest.mark.parametrize(
    "objective",
    [sticking_the_landing, lambda *a: doubly_reparameterized(*a, num_samples=3)],
    ids=["sticking_the_landing", "doubly_reparameterized"],
)
def test_what_has_no_path_gradient(objective):
    with pytest.raises(TypeError, match=r"no density"):
        objective(jax.random.key(0), PointMass(jnp.zeros(2)), JOINT, X)
    with pytest.raises(TypeError, match=r"Elsewhere has no array leaves"):
        objective(jax.random.key(0), Elsewhere(), JOINT, X)


def test_at_least_one_sample():
    with pytest.raises(ValueError, match="num_samples must be a whole number, at least 1; got 0"):
        doubly_reparameterized(jax.random.key(0), standard_normal(2), JOINT, X, num_samples=0)
