"""GaussianMixture against scipy; its pathwise gradients against analytic ones."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from vaejax.distributions import GaussianMixture, standard_normal


def parameters(k, shape, seed=0):
    rng = np.random.default_rng(seed)
    logits, (means, log_scales) = rng.normal(size=k), rng.normal(size=(2, k, *shape))
    return logits, 1.5 * means, 0.3 * log_scales


def log_density(logits, means, log_scales, x):
    """Of x (n, *shape), by scipy, component by component."""
    densities = [
        scipy.stats.norm(m, np.exp(s)).logpdf(x).reshape(len(x), -1).sum(-1)
        for m, s in zip(means, log_scales, strict=True)
    ]
    return scipy.special.logsumexp(
        np.stack(densities, -1) + scipy.special.log_softmax(logits), axis=-1
    )


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("leading", [(), (4,), (2, 3)])
def test_log_prob_is_that_of_scipy(shape, leading):
    p = parameters(4, shape)
    x = 2 * np.random.default_rng(1).normal(size=(*leading, *shape))
    log_prob = jax.jit(lambda p, x: GaussianMixture(*p).log_prob(x))(p, x)
    assert log_prob.shape == leading
    expected = log_density(*p, x.reshape(-1, *shape)).reshape(leading)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)


@pytest.mark.parametrize("sample_shape", [(), (5,), (2, 5)])
def test_sample_and_log_prob_agree(sample_shape):
    p = parameters(3, (2, 3))
    draw = partial(GaussianMixture(*p).sample_and_log_prob, sample_shape=sample_shape)
    z, log_q = jax.jit(draw)(seed=jax.random.key(0))
    assert z.shape == (*sample_shape, 2, 3)
    expected = log_density(*p, np.asarray(z).reshape(-1, 2, 3)).reshape(sample_shape)
    np.testing.assert_allclose(log_q, expected, rtol=1e-5, atol=1e-5)


def test_samples_have_the_distribution():
    """Each element by its marginal cdf; the two together by the mean of their product."""
    logits, means, log_scales = p = parameters(3, (2,))
    w = scipy.special.softmax(logits)
    sample = jax.jit(lambda key: GaussianMixture(*p).sample(seed=key, sample_shape=(20_000,)))
    draws = np.asarray(sample(jax.random.key(0)), np.float64)
    for i in range(2):
        components = scipy.stats.norm(means[:, i], np.exp(log_scales[:, i]))
        cdf = lambda x, components=components: components.cdf(x[:, None]) @ w  # noqa: E731
        assert scipy.stats.kstest(draws[:, i], cdf).pvalue > 0.01
    product = draws[:, 0] * draws[:, 1]
    expected = w @ (means[:, 0] * means[:, 1])
    assert abs(product.mean() - expected) < 4 * product.std() / np.sqrt(len(product))
    mean = jax.jit(lambda p: GaussianMixture(*p).mean())(p)
    np.testing.assert_allclose(mean, w @ means, rtol=1e-5)


def second_moment_and_mean(p, a, B):
    """E[a . z + z . B z] in closed form."""
    logits, means, log_scales = p
    w = jax.nn.softmax(logits)
    quadratic = jnp.einsum("ki,ij,kj->k", means, B, means)
    trace = jnp.sum(jnp.exp(2 * log_scales) * jnp.diag(B), axis=-1)
    return w @ (means @ a + quadratic + trace)


def test_pathwise_gradient_is_that_of_the_expectation():
    """By all of logits, means and log scales, for f(z) = a . z + z . B z with B full, so that the
    dependence between the elements counts."""
    p = tuple(map(jnp.asarray, parameters(3, (2,), seed=4)))
    a, B = jnp.asarray([0.5, -1.0]), jnp.asarray([[1.0, 0.7], [0.7, -0.5]])

    def f(p, key):
        z = GaussianMixture(*p).sample(seed=key)
        return a @ z + z @ B @ z

    keys = jax.random.split(jax.random.key(0), 20_000)
    draws = jax.jit(jax.vmap(jax.grad(f), (None, 0)))(p, keys)
    expected = jax.jit(jax.grad(second_moment_and_mean))(p, a, B)
    for gradient, mean in zip(draws, expected, strict=True):
        gradient = np.asarray(gradient, np.float64)
        standard_error = gradient.std(axis=0, ddof=1) / np.sqrt(len(keys))
        assert np.any(np.abs(mean) > 20 * standard_error)  # zero would not pass
        assert np.all(np.abs(gradient.mean(axis=0) - mean) < 4 * standard_error)


def test_jacobian_of_a_sample_keeps_the_distributional_transform():
    """u_i = F(z_i | z_<i), from joint densities and cdfs, stays where it is when z moves with the
    parameters: du/dparameter + du/dz dz/dparameter = 0."""
    with jax.enable_x64(True):
        p = tuple(map(jnp.asarray, parameters(4, (5,))))
        key = jax.random.key(2)
        draw = lambda p: GaussianMixture(*p).sample(seed=key)  # noqa: E731
        z, by_parameters = jax.jit(lambda p: (draw(p), jax.jacobian(draw)(p)))(p)

        def transform(z, p):
            logits, means, log_scales = p
            density = jax.scipy.stats.norm.pdf(z, means, jnp.exp(log_scales))
            cdf = jax.scipy.stats.norm.cdf(z, means, jnp.exp(log_scales))
            w = jnp.exp(logits)
            before = jnp.stack([w * jnp.prod(density[:, :i], axis=1) for i in range(5)], axis=1)
            return jnp.sum(before * cdf, axis=0) / jnp.sum(before, axis=0)

        by_z, by_p = jax.jit(jax.jacobian(transform, (0, 1)))(z, p)
        for direct, path in zip(by_p, by_parameters, strict=True):
            assert np.abs(path).max() > 0.1
            moved = np.tensordot(np.asarray(by_z), np.asarray(path), 1)
            np.testing.assert_allclose(moved, -np.asarray(direct), atol=1e-9)


def test_one_component_is_the_gaussian_path():
    """z = mean + scale noise: dz/dmean = 1, dz/dlog_scale = z - mean, dz/dlogit = 0."""
    p = tuple(map(jnp.asarray, parameters(1, (3,))))
    draw = lambda p: GaussianMixture(*p).sample(seed=jax.random.key(1))  # noqa: E731
    z, (by_logits, by_means, by_log_scales) = jax.jit(lambda p: (draw(p), jax.jacobian(draw)(p)))(p)
    np.testing.assert_allclose(by_logits, 0.0, atol=1e-6)
    np.testing.assert_allclose(by_means[:, 0], np.eye(3), atol=1e-5)
    np.testing.assert_allclose(by_log_scales[:, 0], np.diag(z - p[1][0]), atol=1e-5)


def test_gradients_are_finite_in_float32_with_components_far_apart():
    logits = jnp.asarray([0.0, -20.0, 3.0])
    means = jnp.asarray([[-50.0], [0.0], [50.0]]) * jnp.ones(40)
    log_scales = jnp.asarray([[-5.0], [2.0], [0.0]]) * jnp.ones(40)
    loss = lambda key, *p: jnp.sum(GaussianMixture(*p).sample(seed=key) ** 2)  # noqa: E731
    keys = jax.random.split(jax.random.key(0), 100)
    gradients = jax.jit(jax.vmap(jax.grad(loss, (1, 2, 3)), (0, None, None, None)))(
        keys, logits, means, log_scales
    )
    assert all(np.all(np.isfinite(g)) for g in gradients)


def test_no_closed_form_kl():
    with pytest.raises(NotImplementedError):
        GaussianMixture(*parameters(2, (2,))).kl_divergence(standard_normal(2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_that_of_the_parameters(dtype):
    def numbers(*p):
        q = GaussianMixture(*p)
        z, log_q = q.sample_and_log_prob(seed=jax.random.key(0))
        return z, log_q, q.log_prob(z), q.mean()

    with jax.enable_x64(True):
        p = (jnp.asarray(a, dtype) for a in parameters(2, (2,)))
        assert {str(a.dtype) for a in jax.eval_shape(numbers, *p)} == {dtype}


@pytest.mark.parametrize("shapes", [((2,), (2, 3), (2, 2)), ((3,), (2, 3), (2, 3))])
def test_shapes_that_disagree_are_refused(shapes):
    with pytest.raises(ValueError, match="must agree"):
        GaussianMixture(*map(jnp.zeros, shapes))
