"""What every family that contains the diagonal Gaussian must do, at its start and away from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.flatten_util import ravel_pytree

from vaejax.distributions import DiagonalGaussian, InverseAutoregressiveLayer, standard_normal
from vaejax.inference import (
    affine_coupling,
    amortized,
    diagonal_gaussian,
    full_gaussian,
    gaussian_mixture,
    inverse_autoregressive,
    parameter_count,
    spline_coupling,
)
from vaejax.networks import MLP
from vaejax.objectives import elbo
from vaejax.types import Joint

FLOWS = {
    "affine_coupling": lambda *shape: affine_coupling(*shape, num_layers=3, hidden=(8,)),
    "inverse_autoregressive": lambda *shape: inverse_autoregressive(*shape, hidden=(8,)),
    "spline_coupling": lambda *shape: spline_coupling(*shape, hidden=(8,), num_bins=4),
}
FAMILIES = {
    "diagonal_gaussian": diagonal_gaussian,
    "full_gaussian": full_gaussian,
    "gaussian_mixture": lambda *shape: gaussian_mixture(*shape, num_components=3),
    **FLOWS,
}
every_family = pytest.mark.parametrize("name", FAMILIES)
every_flow = pytest.mark.parametrize("name", FLOWS)
every_shape = pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2)])


def somewhere(family, seed=0, size=0.5):
    """Lambda away from the start."""
    flat, unravel = ravel_pytree(family.init(jax.random.key(seed)))
    return unravel(flat + size * np.random.default_rng(seed).normal(size=flat.shape))


@every_family
@every_shape
def test_starts_at_the_diagonal_gaussian_that_is_put_in(name, shape):
    """The mixture to the accuracy of its offsets, the others exactly."""
    family = FAMILIES[name](*shape)
    mean, log_scale = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    v = family.init(jax.random.key(0)) | {"mean": mean, "log_scale": log_scale}
    q = family.distribution(v)
    assert q.event_shape == shape
    diagonal = scipy.stats.norm(mean, np.exp(log_scale))
    z = mean + np.exp(log_scale) * np.random.default_rng(1).normal(size=(6, *shape))
    tolerance = 1.5 if name == "gaussian_mixture" else 2e-4
    expected = diagonal.logpdf(z).reshape(6, -1).sum(-1)
    np.testing.assert_allclose(q.log_prob(z.astype(np.float32)), expected, atol=tolerance)
    draws = np.asarray(q.sample(seed=jax.random.key(1), sample_shape=(2000,)), np.float64)
    standardized = (draws - mean) / np.exp(log_scale)
    np.testing.assert_allclose(standardized.mean(0), 0.0, atol=0.25)
    np.testing.assert_allclose(standardized.std(0), 1.0, atol=0.1)


@every_family
@every_shape
def test_log_prob_of_a_sample_is_the_one_that_came_with_it(name, shape):
    """For a flow: forward and inverse are each other's, away from the identity."""
    family = FAMILIES[name](*shape)
    with jax.enable_x64(True):
        v = somewhere(family)
        q = family.distribution(v)
        z, log_q = q.sample_and_log_prob(seed=jax.random.key(0), sample_shape=(2, 3))
        assert z.shape == (2, 3, *shape) and log_q.shape == (2, 3)
        np.testing.assert_allclose(q.log_prob(z), log_q, rtol=1e-8)
        np.testing.assert_allclose(
            z, q.sample(seed=jax.random.key(0), sample_shape=(2, 3)), rtol=1e-12
        )
        start = family.distribution(diagonal_gaussian(*shape).init(jax.random.key(0)) | v)
        plain = DiagonalGaussian(v["mean"], v["log_scale"]).log_prob(z)
        np.testing.assert_allclose(start.log_prob(z), log_q, rtol=1e-8)
        if name != "diagonal_gaussian" and np.prod(shape) > 1:
            assert np.abs(log_q - plain).max() > 0.1


@every_flow
@pytest.mark.parametrize("size", [1, 2, 5])
def test_log_determinant_of_a_flow_is_that_of_its_jacobian(name, size):
    """log q(z) = log N(e; 0, I) - log |dz/de|, the noise e found from log q's own inverse."""
    family = FLOWS[name](size)
    with jax.enable_x64(True):
        q = family.distribution(somewhere(family, seed=size))
        noise = jnp.asarray(1.5 * np.random.default_rng(0).normal(size=(7, size)))
        z, log_det = jax.vmap(q._forward_and_log_det)(noise)
        jacobian = jax.vmap(jax.jacobian(lambda e: q._forward_and_log_det(e)[0]))(noise)
        np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=1e-8, atol=1e-10)
        base = scipy.stats.norm.logpdf(noise).sum(-1)
        np.testing.assert_allclose(q.log_prob(z), base - log_det, rtol=1e-8)


@every_family
def test_density_integrates_to_one(name):
    """In two dimensions, by the trapezoid rule on the image of a grid 9 wide on each side."""
    family = FAMILIES[name](2)
    v = somewhere(family, seed=3, size=0.4) | {
        "mean": jnp.asarray([0.5, -0.3]),
        "log_scale": jnp.asarray([0.1, -0.2]),
    }
    grid = np.linspace(-9.0, 9.0, 301)
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).astype(np.float32)
    log_q = jax.jit(lambda v, z: family.distribution(v).log_prob(z))(v, points)
    density = np.exp(np.asarray(log_q, np.float64))
    assert density[[0, -1]].max() < 1e-6 and density[:, [0, -1]].max() < 1e-6
    np.testing.assert_allclose(density.sum() * (grid[1] - grid[0]) ** 2, 1.0, atol=2e-3)


@every_flow
def test_sampling_with_a_log_prob_does_not_invert(name, monkeypatch):
    import distrax

    def refuse(self, y):
        raise AssertionError("inverted")

    for layer in (InverseAutoregressiveLayer, distrax.SplitCoupling):
        monkeypatch.setattr(layer, "inverse_and_log_det", refuse)
    family = FLOWS[name](3)
    q = family.distribution(family.init(jax.random.key(0)))
    q.sample_and_log_prob(seed=jax.random.key(1))
    with pytest.raises(AssertionError, match="inverted"):
        q.log_prob(jnp.zeros(3))


@every_family
def test_all_of_lambda_has_a_finite_gradient_that_is_not_zero(name):
    """Away from the start, by the ELBO's integrand; a masked weight of the inverse autoregressive
    flow has none."""
    family = FAMILIES[name](3)

    def loss(v, key):
        z, log_q = family.distribution(v).sample_and_log_prob(seed=key, sample_shape=(32,))
        return jnp.mean(log_q + jnp.sum(z**4, axis=-1))

    gradient = jax.jit(jax.grad(loss))(somewhere(family), jax.random.key(0))
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.all(np.isfinite(leaf)), path
        assert np.any(leaf != 0), path


@every_family
def test_elbo_over_a_batch_of_lambdas(name):
    """Under vmap and jit, for a conjugate model: never above log p(x) on average."""
    family = FAMILIES[name](2)
    joint = Joint(standard_normal(2), lambda z: DiagonalGaussian(z, jnp.zeros(2)))
    x = jnp.asarray([0.7, -1.0])
    exact = scipy.stats.norm(0, np.sqrt(2)).logpdf(x).sum()
    several = [somewhere(family, seed, 0.2) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)

    def value(v, key):
        return elbo(key, family.distribution(v), joint, x).value

    keys = jax.random.split(jax.random.key(0), (3, 2000))
    values = np.asarray(jax.jit(jax.vmap(jax.vmap(value, (None, 0))))(stacked, keys), np.float64)
    assert values.shape == (3, 2000)
    bound, standard_error = values.mean(1), values.std(1) / np.sqrt(2000)
    assert np.all(bound < exact + 4 * standard_error)
    assert np.all(bound > exact - 3.0)


@every_flow
def test_a_flow_fits_what_a_diagonal_gaussian_cannot(name):
    """KL(q || p) to a Gaussian with correlation 0.9: 0.83 nats for the best diagonal one."""
    family = FLOWS[name](2)
    precision = jnp.linalg.inv(jnp.asarray([[1.0, 0.9], [0.9, 1.0]]))
    log_constant = 0.5 * jnp.linalg.slogdet(precision)[1] - jnp.log(2 * jnp.pi)

    def divergence(v, key, n):
        z, log_q = family.distribution(v).sample_and_log_prob(seed=key, sample_shape=(n,))
        log_p = log_constant - 0.5 * jnp.einsum("ni,ij,nj->n", z, precision, z)
        return jnp.mean(log_q - log_p)

    @jax.jit
    def fit(v, key):
        def step(carry, key):
            v, momentum = carry
            gradient = jax.grad(divergence)(v, key, 128)
            momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, gradient)
            return (jax.tree.map(lambda a, m: a - 0.005 * m, v, momentum), momentum), None

        keys = jax.random.split(key, 500)
        return jax.lax.scan(step, (v, jax.tree.map(jnp.zeros_like, v)), keys)[0][0]

    v = fit(family.init(jax.random.key(0)), jax.random.key(1))
    assert divergence(v, jax.random.key(2), 5000) < 0.1


@every_family
@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_amortized(name, shape):
    family = FAMILIES[name](*shape)
    network = amortized(family, MLP((4,), (parameter_count(family),)), (5,))
    phi = network.init(jax.random.key(0))
    xs = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)

    def one(x, key):
        q = network.posterior(phi, x, standard_normal(*shape))
        return *q.sample_and_log_prob(seed=key, sample_shape=(2,)), q.log_prob(jnp.zeros(shape))

    z, log_q, at_zero = jax.jit(jax.vmap(one))(xs, jax.random.split(jax.random.key(1), 4))
    assert z.shape == (4, 2, *shape) and log_q.shape == (4, 2) and at_zero.shape == (4,)
    assert np.all(np.isfinite(log_q)) and len(np.unique(at_zero)) == 4


@every_flow
def test_what_has_no_closed_form_is_not_implemented(name):
    q = FLOWS[name](2).distribution(FLOWS[name](2).init(jax.random.key(0)))
    for ask in (q.mean, q.entropy, lambda: q.kl_divergence(standard_normal(2))):
        with pytest.raises(NotImplementedError):
            ask()


@every_flow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_that_of_lambda(name, dtype):
    family = FLOWS[name](2)
    with jax.enable_x64(True):
        v = jax.tree.map(lambda a: a.astype(dtype), family.init(jax.random.key(0)))
        q = family.distribution(v)
        z, log_q = q.sample_and_log_prob(seed=jax.random.key(0))
        assert {str(a.dtype) for a in (z, log_q, q.log_prob(z))} == {dtype}


def test_lambda_of_the_full_gaussian_is_as_short_as_can_be():
    assert parameter_count(full_gaussian(2, 3)) == 6 + 6 + 15
