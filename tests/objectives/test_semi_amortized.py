"""Refinement and its gradients on z ~ N(0, I), x | z ~ N(W z + b, s^2 I), where they are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vaejax import inference
from vaejax.distributions import DiagonalGaussian, standard_normal
from vaejax.objectives import elbo, refine, semi_amortized
from vaejax.types import Joint

S = 0.8
W = np.array([[1.0, 0.9], [0.5, -0.2], [-0.7, -0.4]])
B = np.array([0.2, -0.1, 0.4])
X = np.array([1.0, -0.8, 0.5])
START = (np.array([0.9, -0.3]), np.log([0.6, 0.9]))  # mean and log scale
FAMILY = inference.diagonal_gaussian(2)


def joint(w=W):
    return Joint(
        standard_normal(2),
        lambda z: DiagonalGaussian(w @ z + jnp.asarray(B), jnp.full(3, np.log(S))),
    )


def exact_elbo(mean, log_scale):
    """E_q[log p(X | z)] - KL for z of each row."""
    scale = np.exp(log_scale)
    at_mean = scipy.stats.norm(mean @ W.T + B, S).logpdf(X).sum(-1)
    reconstruction = at_mean - np.sum(scale**2 * np.sum(W**2, axis=0), -1) / (2 * S**2)
    return reconstruction - 0.5 * np.sum(scale**2 + mean**2 - 1 - 2 * log_scale, -1)


def lambda_of(mean, log_scale):
    return {"mean": jnp.asarray(mean), "log_scale": jnp.asarray(log_scale)}


def refined(num_steps, learning_rate, n):
    """Mean and log scale after refining from START with each of n keys."""

    def one(key):
        settings = {"num_steps": num_steps, "learning_rate": learning_rate, "through": False}
        v = refine(key, FAMILY, lambda_of(*START), joint(), X, **settings)
        return v["mean"], v["log_scale"]

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), n))


def test_each_step_raises_the_exact_elbo_until_the_best_diagonal_q():
    precision = np.eye(2) + W.T @ W / S**2
    best = np.linalg.solve(precision, W.T @ (X - B) / S**2), -0.5 * np.log(np.diag(precision))
    means = [exact_elbo(*START)]
    means += [exact_elbo(*map(np.asarray, refined(k, 0.02, 500))).mean() for k in (1, 5, 20)]
    assert np.all(np.diff(means) > 0.02)
    found = [np.mean(leaf, axis=0) for leaf in refined(1500, 0.01, 200)]
    np.testing.assert_allclose(found[0], best[0], atol=0.02)
    np.testing.assert_allclose(found[1], best[1], atol=0.03)
    assert np.abs(START[0] - best[0]).max() > 0.2 and np.abs(START[1] - best[1]).max() > 0.2


def test_a_step_is_the_gradient_of_the_elbo_at_its_draw():
    """d/d mean and d/d log scale of log p(x | z) - KL at z = mean + scale * noise, by hand."""
    key = jax.random.key(4)
    mean, _ = refined(0, 0.1, 1)
    np.testing.assert_allclose(mean[0], START[0], rtol=1e-6)
    settings = {"num_steps": 1, "learning_rate": 0.1, "through": False}

    @jax.jit
    def moved(key):
        v = refine(key, FAMILY, lambda_of(*START), joint(), X, **settings)
        return v, DiagonalGaussian(*START).sample(seed=jax.random.fold_in(key, 0))

    v, z = moved(key)
    scale = np.exp(START[1])
    of_z = W.T @ (X - B - W @ z) / S**2
    by_hand = of_z - START[0], of_z * (z - START[0]) - (scale**2 - 1)
    np.testing.assert_allclose(v["mean"], START[0] + 0.1 * by_hand[0], rtol=1e-5)
    np.testing.assert_allclose(v["log_scale"], START[1] + 0.1 * by_hand[1], rtol=1e-5)


def gradients(through, num_steps=2, objective=semi_amortized):
    """Gradient of the value in (mean, W)."""
    settings = {"num_steps": num_steps, "learning_rate": 0.1}
    if objective is semi_amortized:
        objective = functools.partial(objective, **settings, through=through)

    def value(mean, w):
        v = lambda_of(mean, START[1])
        return objective(jax.random.key(1), FAMILY, v, joint(w), X).value

    with jax.enable_x64(True):
        return jax.jit(jax.value_and_grad(value, argnums=(0, 1)))(START[0], W)


def test_the_gradient_through_the_steps_is_that_of_finite_differences():
    with jax.enable_x64(True):

        @jax.jit
        def value(mean, w):
            return semi_amortized(
                jax.random.key(1),
                FAMILY,
                lambda_of(mean, START[1]),
                joint(w),
                X,
                num_steps=2,
                learning_rate=0.1,
                through=True,
            ).value

        steps, zero = 1e-5 * np.eye(2), np.zeros_like(W)
        of_mean = [(value(START[0] + d, W) - value(START[0] - d, W)) / 2e-5 for d in steps]
        one = zero.copy()
        one[1, 0] = 1e-5
        of_w = (value(START[0], W + one) - value(START[0], W - one)) / 2e-5
    _, (mean, w) = gradients(True)
    np.testing.assert_allclose(mean, of_mean, rtol=1e-6)
    np.testing.assert_allclose(w[1, 0], of_w, rtol=1e-6)


def test_stopped_p_learns_at_the_refined_q_and_the_encoder_at_its_own():
    with jax.enable_x64(True):
        v = lambda_of(*START)
        refine_key, key = jax.random.split(jax.random.key(1))
        settings = {"num_steps": 2, "learning_rate": 0.1, "through": False}
        at = jax.jit(lambda v: refine(refine_key, FAMILY, v, joint(), X, **settings))(v)

        @jax.jit
        @functools.partial(jax.grad, argnums=(0, 1))
        def gradient(v, w):
            return elbo(key, FAMILY.distribution(v), joint(w), X).value

        of_w = gradient(at, W)[1]
        of_mean = gradient(v, W)[0]["mean"]
    (stopped, (mean, w)), (through, (mean_through, w_through)) = gradients(False), gradients(True)
    np.testing.assert_allclose(stopped, through, rtol=1e-12)  # the value is the same
    np.testing.assert_allclose(mean, of_mean, rtol=1e-10)
    np.testing.assert_allclose(w, of_w, rtol=1e-10)
    assert np.abs(mean - mean_through).max() > 0.05
    assert np.abs(w - w_through).max() > 0.01


@pytest.mark.parametrize("through", [True, False])
def test_no_step_is_the_elbo(through):
    key = jax.random.split(jax.random.key(1))[1]
    value, wanted = (
        gradients(through, num_steps=0),
        gradients(None, objective=lambda _, f, v, p, x: elbo(key, f.distribution(v), p, x)),
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), value, wanted)


def test_the_gradient_through_a_mixture_is_refused():
    family = inference.gaussian_mixture(2, num_components=2)
    v = jax.jit(family.init)(jax.random.key(0))
    settings = {"num_steps": 1, "learning_rate": 0.1}

    @functools.partial(jax.jit, static_argnames="through")
    def value(v, through):
        key = jax.random.key(0)
        return semi_amortized(key, family, v, joint(), X, through=through, **settings).value

    with pytest.raises(TypeError, match="through=False"):
        value(v, through=True)
    assert np.isfinite(value(v, through=False))


@pytest.mark.parametrize("family", ["full_gaussian", "inverse_autoregressive", "spline_coupling"])
def test_all_of_lambda_is_refined_and_learns(family):
    """Of a flow its networks too: they are what makes it better than the Gaussian it starts at."""
    made = getattr(inference, family)(2)
    settings = {"learning_rate": 0.05, "through": False}

    @jax.jit
    def both(variational):
        moved = refine(jax.random.key(1), made, variational, joint(), X, num_steps=5, **settings)

        def stopped(v):
            key = jax.random.key(2)
            return semi_amortized(key, made, v, joint(), X, num_steps=5, **settings).value

        def at_its_own(v):
            key = jax.random.split(jax.random.key(2))[1]
            return elbo(key, made.distribution(v), joint(), X).value

        return (
            jax.tree.leaves(moved),
            jax.grad(stopped)(variational),
            jax.grad(at_its_own)(variational),
        )

    with jax.enable_x64(True):
        start = jax.jit(made.init)(jax.random.key(0)) | {"mean": START[0], "log_scale": START[1]}
        leaves = jax.tree.leaves(start)
        moved, stopped, expected = both(start)
    assert sum(leaf.size for leaf in leaves) == inference.parameter_count(made)
    changed = sum(np.any(a != b) for a, b in zip(leaves, moved, strict=True))
    assert changed == len(leaves)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), stopped, expected)
