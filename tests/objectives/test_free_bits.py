"""Free bits against the KL of each dimension written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.distributions import Bernoulli, DiagonalGaussian, PointMass, standard_normal
from vaejax.objectives import elbo, free_bits
from vaejax.types import Joint

MEAN, LOG_SCALE = np.array([0.1, 0.5, 2.0]), np.log([1.1, 0.8, 0.3])
KL = 0.5 * (np.exp(2 * LOG_SCALE) + MEAN**2 - 1) - LOG_SCALE  # 0.015, 0.168, 2.749
X, KEY = np.array([1.0, 0.0, 1.0]), jax.random.key(0)
Q, P = DiagonalGaussian(MEAN, LOG_SCALE), Joint(standard_normal(3), Bernoulli)


@pytest.mark.parametrize("minimum", [0.0, 0.1, 1.0, 5.0])
def test_each_dimension_costs_its_kl_or_the_minimum(minimum):
    terms, plain = free_bits(KEY, Q, P, X, minimum=minimum), elbo(KEY, Q, P, X)
    cost = sum(max(minimum, kl) for kl in KL)
    np.testing.assert_allclose(terms.value, plain.metrics["reconstruction"] - cost, rtol=1e-5)
    np.testing.assert_allclose(terms.metrics["kl"], KL.sum(), rtol=1e-5)
    np.testing.assert_array_equal(terms.metrics["reconstruction"], plain.metrics["reconstruction"])
    if minimum == 0:
        np.testing.assert_allclose(terms.value, plain.value, rtol=1e-6)


def test_a_dimension_below_the_minimum_has_no_gradient_from_its_kl():
    def cost(mean):
        terms = free_bits(KEY, DiagonalGaussian(mean, LOG_SCALE), P, X, minimum=0.1)
        return terms.metrics["reconstruction"] - terms.value

    np.testing.assert_allclose(jax.grad(cost)(jnp.asarray(MEAN)), [0.0, 0.5, 2.0], rtol=1e-5)


@pytest.mark.parametrize(
    "q, p", [(PointMass(jnp.zeros(3)), P), (Q, P._replace(prior=Bernoulli(jnp.zeros(3))))]
)
def test_another_family_is_refused_in_one_line(q, p):
    with pytest.raises(TypeError, match=r"^free_bits needs .*must be DiagonalGaussian; got .*$"):
        free_bits(KEY, q, p, X, minimum=0.1)
