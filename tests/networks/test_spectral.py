"""SpectralDense against numpy's singular values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.networks import MLP, SpectralDense
from vaejax.networks.spectral import spectral_norm

GLOROT = jax.nn.initializers.glorot_uniform()


@pytest.mark.parametrize("shape", [(8, 100), (100, 100), (200, 784), (1, 5), (5, 1)])
def test_the_norm_is_the_largest_singular_value(shape):
    """Never above it; within 2 % of it from this start, where the next ones are close."""

    @jax.jit
    def norms(w_key, key):
        w, start = GLOROT(w_key, shape), jax.random.normal(key, shape[1:])
        return w, spectral_norm(w, start), spectral_norm(w, start, 500)

    w, soon, late = norms(jax.random.key(1), jax.random.key(0))
    truth = np.linalg.norm(np.asarray(w, np.float64), 2)
    assert 0.98 * truth < float(soon) < truth * (1 + 1e-5)
    np.testing.assert_allclose(float(late), truth, rtol=1e-3)


def test_its_derivative_is_that_of_the_singular_value():
    """u v', with u and v by numpy's SVD."""
    w = GLOROT(jax.random.key(2), (7, 5))
    u, _, v = np.linalg.svd(np.asarray(w, np.float64))
    gradient = jax.jit(jax.grad(lambda w: spectral_norm(w, jnp.ones(5), 500)))(w)
    np.testing.assert_allclose(gradient, np.outer(u[:, 0], v[0]), atol=1e-4)


def test_a_matrix_of_zeros_gives_finite_numbers():
    layer = SpectralDense(3, kernel_init=jax.nn.initializers.zeros)
    h = np.ones(4, np.float32)
    params = jax.jit(layer.init)(jax.random.key(0), h)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(layer.apply(p, h))))(params)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def test_the_start_of_the_iteration_comes_from_the_key_and_is_not_trained():
    layer, h = SpectralDense(6), np.ones(4, np.float32)
    init = jax.jit(layer.init)
    one, other = (jax.tree.map(np.asarray, init(jax.random.key(seed), h)) for seed in (0, 1))
    assert not np.any(one["params"]["start"] == other["params"]["start"])
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(layer.apply(p, h) ** 2)))(one)
    gradient = jax.tree.map(np.asarray, gradient)
    assert not np.any(gradient["params"]["start"])
    assert np.any(gradient["params"]["kernel"])


def test_a_network_of_such_layers_stretches_nothing():
    """Whatever its weights: the Jacobian's norm is at most 1 but for the iteration's error, where
    the same network of ordinary layers has a larger one."""
    z = np.array([0.1, -0.2, 0.3], np.float32)
    norms = {}
    for dense in (MLP.dense, SpectralDense):
        network = MLP((16, 16), (4, 4), dense=dense)
        params = jax.jit(network.init)(jax.random.key(0), z)
        params = jax.tree.map(lambda leaf: 5 * np.asarray(leaf), params)
        jacobian = jax.jit(jax.jacobian(network.apply, argnums=1))(params, z)
        norms[dense] = np.linalg.norm(jacobian.reshape(16, 3), 2)
    assert norms[SpectralDense] < 1.05 < norms[MLP.dense]
    assert norms[SpectralDense] > 1e-3
