"""A point mass is sampled; asking it for a density is an error that says why."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.distributions import PointMass, standard_normal

LOCATION = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, 1.0]], np.float32)


@pytest.mark.parametrize("sample_shape", [(), (4,), (2, 4)])
def test_every_sample_is_the_location(sample_shape):
    draws = PointMass(LOCATION).sample(seed=jax.random.key(0), sample_shape=sample_shape)
    np.testing.assert_array_equal(draws, np.broadcast_to(LOCATION, (*sample_shape, 2, 3)))


def test_mean_and_event_shape():
    np.testing.assert_array_equal(PointMass(LOCATION).mean(), LOCATION)
    assert PointMass(LOCATION).event_shape == (2, 3)


def test_gradient_goes_through_the_sample():
    def loss(location):
        return jnp.sum(PointMass(location).sample(seed=jax.random.key(0)) ** 2)

    np.testing.assert_allclose(jax.grad(loss)(LOCATION), 2 * LOCATION)


def test_under_vmap():
    keys = jax.random.split(jax.random.key(0), 2)
    draws = jax.vmap(lambda location, key: PointMass(location).sample(seed=key))(LOCATION, keys)
    np.testing.assert_array_equal(draws, LOCATION)


@pytest.mark.parametrize(
    "ask",
    [
        lambda q: q.log_prob(jnp.zeros(3)),
        lambda q: q.prob(jnp.zeros(3)),
        lambda q: q.sample_and_log_prob(seed=jax.random.key(0)),
        lambda q: q.kl_divergence(standard_normal(3)),
        lambda q: q.cross_entropy(standard_normal(3)),
    ],
    ids=["log_prob", "prob", "sample_and_log_prob", "kl_divergence", "cross_entropy"],
)
def test_a_density_is_refused_with_the_reason_and_what_to_do(ask):
    with pytest.raises(TypeError, match=r"no density.*Lebesgue.*reconstruction"):
        ask(PointMass(jnp.zeros(3)))
