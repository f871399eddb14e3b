"""What every family that contains the diagonal Gaussian must do, at its start and away from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

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


def somewhere(family, seed=0, size=0.5):
    """Lambda away from the start."""
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(family.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: size * random.normal(size=leaf.shape), shapes)


@every_family
@pytest.mark.parametrize("shape", [(), (2, 2)])
def test_starts_at_the_diagonal_gaussian_that_is_put_in(name, shape):
    """The mixture to the accuracy of its offsets, the others exactly."""
    family = FAMILIES[name](*shape)
    mean, log_scale = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    z = mean + np.exp(log_scale) * np.random.default_rng(1).normal(size=(6, *shape))

    @jax.jit
    def log_prob(key, mean, log_scale, z):
        q = family.distribution(family.init(key) | {"mean": mean, "log_scale": log_scale})
        assert q.event_shape == shape
        return q.log_prob(z)

    log_q = log_prob(jax.random.key(0), mean, log_scale, z)
    expected = scipy.stats.norm(mean, np.exp(log_scale)).logpdf(z).reshape(6, -1).sum(-1)
    tolerance = 0.8 if name == "gaussian_mixture" else 2e-4
    np.testing.assert_allclose(log_q, expected, atol=tolerance)


@every_family
@pytest.mark.parametrize("shape", [(), (5,)])
def test_log_prob_of_a_sample_is_the_one_that_came_with_it(name, shape):
    """For a flow: forward and inverse are each other's, away from the identity."""
    family = FAMILIES[name](*shape)

    @jax.jit
    def draw(v, key):
        q = family.distribution(v)
        z, log_q = q.sample_and_log_prob(seed=key, sample_shape=(2, 3))
        plain = DiagonalGaussian(v["mean"], v["log_scale"]).log_prob(z)
        return z, log_q, q.log_prob(z), q.sample(seed=key, sample_shape=(2, 3)), plain

    with jax.enable_x64(True):
        z, log_q, again, same, plain = draw(somewhere(family), jax.random.key(0))
    assert z.shape == (2, 3, *shape) and log_q.shape == again.shape == (2, 3)
    np.testing.assert_allclose(again, log_q, rtol=1e-7)
    np.testing.assert_allclose(same, z, rtol=1e-12)
    if name != "diagonal_gaussian" and shape:
        assert np.abs(log_q - plain).max() > 0.1


@every_flow
@pytest.mark.parametrize("size", [1, 5])
def test_density_of_a_flow_is_that_of_its_jacobian(name, size):
    """log q(z) = log N(e; 0, I) - log |dz/de|, dz/de by automatic differentiation."""
    family = FLOWS[name](size)

    @jax.jit
    def evaluate(v, noise):
        q = family.distribution(v)
        forward = lambda e: q._forward_and_log_det(e)[0]  # noqa: E731
        z = jax.vmap(forward)(noise)
        return jax.vmap(jax.jacfwd(forward))(noise), q.log_prob(z)

    noise = 1.5 * np.random.default_rng(0).normal(size=(7, size))
    with jax.enable_x64(True):
        jacobian, log_q = evaluate(somewhere(family, seed=size), noise)
    base = scipy.stats.norm.logpdf(noise).sum(-1)
    np.testing.assert_allclose(log_q, base - np.linalg.slogdet(jacobian)[1], rtol=1e-7)


@every_family
def test_density_integrates_to_one(name):
    """In two dimensions, by the trapezoid rule on a grid that reaches to where nothing is left."""
    family = FAMILIES[name](2)
    v = somewhere(family, seed=3, size=0.2) | {
        "mean": np.array([0.5, -0.3]),
        "log_scale": np.array([0.1, -0.2]),
    }
    grid = np.linspace(-20.0, 20.0, 401)
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
    q = family.distribution(somewhere(family))
    jax.eval_shape(lambda key: q.sample_and_log_prob(seed=key), jax.random.key(1))
    with pytest.raises(AssertionError, match="inverted"):
        jax.eval_shape(q.log_prob, jnp.zeros(3))


@every_family
def test_all_of_lambda_has_a_finite_gradient_that_is_not_zero(name):
    """Away from the start, by the ELBO's integrand; a masked weight of the inverse autoregressive
    flow has none."""
    family = FAMILIES[name](3)

    def loss(v, key):
        z, log_q = family.distribution(v).sample_and_log_prob(seed=key, sample_shape=(32,))
        return jnp.mean(log_q + jnp.sum(z**4, axis=-1))

    gradient = jax.jit(jax.grad(loss))(somewhere(family), jax.random.key(0))
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.tree.map(np.asarray, gradient)):
        assert np.all(np.isfinite(leaf)), path
        assert np.any(leaf != 0), path


@pytest.mark.parametrize("name", ["full_gaussian", "gaussian_mixture", "inverse_autoregressive"])
def test_elbo_over_a_batch_of_lambdas(name):
    """log p(x) - ELBO = E_q[log q - log p(z | x)], with p(z | x) = N(x / 2, 1 / 2), over the same q
    but other draws."""
    family = FAMILIES[name](2)
    joint = Joint(standard_normal(2), lambda z: DiagonalGaussian(z, jnp.zeros(2)))
    x = jnp.asarray([0.7, -1.0])
    posterior = DiagonalGaussian(x / 2, jnp.full(2, 0.5 * np.log(0.5)))

    def both(v, key):
        z, log_q = family.distribution(v).sample_and_log_prob(seed=jax.random.fold_in(key, 1))
        value = elbo(key, family.distribution(v), joint, x).value
        return value, posterior.log_prob(z) - log_q

    stacked = jax.tree.map(
        lambda *leaves: np.stack(leaves), *(somewhere(family, seed, 0.2) for seed in range(3))
    )
    keys = jax.random.split(jax.random.key(0), (3, 2000))
    value, negative_kl = np.asarray(
        jax.jit(jax.vmap(jax.vmap(both, (None, 0))))(stacked, keys), np.float64
    )
    exact = scipy.stats.norm(0, np.sqrt(2)).logpdf(x).sum()
    difference = value - exact - negative_kl
    assert difference.shape == (3, 2000)
    standard_error = difference.std(axis=1, ddof=1) / np.sqrt(2000)
    assert np.all(np.abs(difference.mean(axis=1)) < 4 * standard_error)
    assert np.all(negative_kl.mean(axis=1) < -5 * standard_error)


@every_family
def test_amortized(name):
    shape = (2, 2)
    family = FAMILIES[name](*shape)
    network = amortized(family, MLP((4,), (parameter_count(family),)), (5,))
    phi = jax.jit(network.init)(jax.random.key(0))
    xs = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)

    def one(x, key):
        q = network.posterior(phi, x, None)
        return *q.sample_and_log_prob(seed=key, sample_shape=(2,)), q.log_prob(jnp.zeros(shape))

    z, log_q, at_zero = jax.jit(jax.vmap(one))(xs, jax.random.split(jax.random.key(1), 4))
    assert z.shape == (4, 2, *shape) and log_q.shape == (4, 2) and at_zero.shape == (4,)
    assert np.all(np.isfinite(log_q)) and len(np.unique(at_zero)) == 4


@every_flow
def test_what_has_no_closed_form_is_not_implemented(name):
    q = FLOWS[name](2).distribution(somewhere(FLOWS[name](2)))
    for ask in (q.mean, q.entropy, lambda: q.kl_divergence(standard_normal(2))):
        with pytest.raises(NotImplementedError):
            ask()


@every_flow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_that_of_lambda(name, dtype):
    family = FLOWS[name](2)

    def draw(v):
        q = family.distribution(v)
        z, log_q = q.sample_and_log_prob(seed=jax.random.key(0))
        return z, log_q, q.log_prob(z)

    with jax.enable_x64(True):
        v = jax.tree.map(lambda a: np.asarray(a, dtype), somewhere(family))
        assert {str(a.dtype) for a in jax.eval_shape(draw, v)} == {dtype}


def test_lambda_of_the_full_gaussian_is_as_short_as_can_be():
    assert parameter_count(full_gaussian(2, 3)) == 6 + 6 + 15
