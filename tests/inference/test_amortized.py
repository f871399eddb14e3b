"""Families and the networks that predict their lambda."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vaejax.distributions import PointMass
from vaejax.inference import amortized, diagonal_gaussian, parameter_count, point_mass
from vaejax.networks import MLP

FAMILIES = [
    (diagonal_gaussian(3), 6),
    (diagonal_gaussian(2, 2), 8),
    (diagonal_gaussian(), 2),
    (point_mass(3), 3),
    (point_mass(2, 2), 4),
]


def matrix_network(size):
    """phi, x -> phi @ x, of a length that is asked for."""
    return SimpleNamespace(
        init=lambda key, x: jax.random.normal(key, (size, x.size)),
        apply=lambda phi, x: phi @ x.reshape(-1),
    )


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_gaussian_starts_at_the_standard_normal(shape):
    family = diagonal_gaussian(*shape)
    q = family.distribution(family.init(jax.random.key(0)))
    z = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert q.event_shape == shape
    np.testing.assert_allclose(q.log_prob(z), scipy.stats.norm.logpdf(z).sum(), rtol=1e-5)


def test_point_mass_starts_at_zero():
    family = point_mass(2, 3)
    q = family.distribution(family.init(jax.random.key(0)))
    assert isinstance(q, PointMass)
    np.testing.assert_array_equal(q.sample(seed=jax.random.key(1)), np.zeros((2, 3)))


def test_lambda_is_mean_and_log_scale():
    q = diagonal_gaussian(2).distribution(
        {"mean": jnp.asarray([1.0, -2.0]), "log_scale": jnp.asarray([-30.0, 0.5])}
    )
    truth = scipy.stats.norm([1.0, -2.0], np.exp([-30.0, 0.5])).logpdf([1.0, 0.0]).sum()
    np.testing.assert_allclose(q.log_prob(jnp.asarray([1.0, 0.0])), truth, rtol=1e-5)


@pytest.mark.parametrize("family, count", FAMILIES)
def test_parameter_count(family, count):
    assert parameter_count(family) == count


def test_posterior_is_the_family_at_the_network_output():
    """Every number of the output is one number of lambda, and q changes with each of them."""
    family, x = diagonal_gaussian(2), np.array([0.5, -1.0, 2.0], np.float32)
    network = amortized(family, matrix_network(4), (3,))
    phi = jax.tree.map(np.asarray, network.init(jax.random.key(0)))
    z = np.array([0.3, 0.1])

    @jax.jit
    def evaluated(phi):
        log_q = lambda phi: network.posterior(phi, x, None).log_prob(z)  # noqa: E731
        return network.variational(phi, x), *jax.value_and_grad(log_q)(phi)

    v, log_q, gradient = evaluated(phi)
    np.testing.assert_allclose(
        np.sort(np.concatenate([v["mean"], v["log_scale"]])), np.sort(phi["network"] @ x), rtol=1e-6
    )
    truth = scipy.stats.norm(v["mean"], np.exp(v["log_scale"])).logpdf(z).sum()
    np.testing.assert_allclose(log_q, truth, rtol=1e-5)
    assert np.all(np.abs(gradient["network"]) > 1e-4)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient["start"]))


def test_point_mass_code_is_the_network_output():
    x = np.array([0.5, -1.0, 2.0], np.float32)
    network = amortized(point_mass(2), matrix_network(2), (3,))
    phi = network.init(jax.random.key(0))
    code = network.posterior(phi, x, None).mean()
    np.testing.assert_allclose(code, phi["network"] @ x, rtol=1e-6)


def test_an_mlp_over_a_batch_is_the_same_as_one_by_one():
    family = diagonal_gaussian(2)
    network = amortized(family, MLP((4,), (parameter_count(family),)), (2, 3))
    phi = jax.jit(network.init)(jax.random.key(0))
    xs = np.random.default_rng(0).normal(size=(3, 2, 3)).astype(np.float32)
    mean = lambda x: network.posterior(phi, x, None).mean()  # noqa: E731
    means, alone = jax.jit(jax.vmap(mean))(xs), jax.jit(mean)
    assert means.shape == (3, 2)
    one_by_one = [alone(x) for x in xs]
    np.testing.assert_allclose(means, one_by_one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family, size", FAMILIES)
@pytest.mark.parametrize("extra", [-1, 1])
def test_an_output_of_another_length_is_refused_with_both_shapes(family, size, extra):
    network = amortized(family, matrix_network(size + extra), (3,))
    phi = network.init(jax.random.key(0))
    with pytest.raises(ValueError, match=rf"\({size + extra},\).*\({size},\)"):
        network.posterior(phi, jnp.ones(3), None)


def test_an_output_that_is_not_flat_is_refused():
    network = amortized(diagonal_gaussian(3), MLP((), (2, 3)), (4,))
    phi = jax.jit(network.init)(jax.random.key(0))
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(6,\)"):
        network.variational(phi, jnp.ones(4))
