"""A q of fixed variance, as its variance goes to 0, against the point mass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.distributions import Bernoulli, PointMass, standard_normal
from vaejax.inference import fixed_scale_gaussian
from vaejax.objectives import elbo, maximum_a_posteriori
from vaejax.types import Joint

KEY = jax.random.key(0)
D, PIXELS, DRAWS = 3, 6, 20_000


def model():
    """A nonlinear decoder of binary x; x; and a place that is no optimum."""
    random = np.random.RandomState(0)
    first, second = random.randn(8, D), random.randn(PIXELS, 8)
    joint = Joint(standard_normal(D), lambda z: Bernoulli(second @ jnp.tanh(first @ z)))
    return joint, np.float64(random.randint(0, 2, PIXELS)), np.array([0.5, -1.0, 2.0])


def difference(joint, x, mean, sigma):
    """E[ELBO] - entropy - MAP, and its standard error.

    Each draw less its first-order part grad log p(x | z) . (z - mean), whose expectation is 0: what
    stays is of second order in sigma, and so is its noise.
    """
    q = fixed_scale_gaussian(D, scale=sigma).distribution({"mean": mean})
    entropy = D * np.log(sigma) + D / 2 * (1 + np.log(2 * np.pi))

    @jax.jit
    def target_and_draws(keys):
        slope = jax.grad(lambda z: joint.likelihood(z).log_prob(x))(mean)

        def one(key):
            return elbo(key, q, joint, x).value - slope @ (q.sample(seed=key) - mean)

        return maximum_a_posteriori(KEY, PointMass(mean), joint, x).value, jax.vmap(one)(keys)

    target, draws = map(np.asarray, target_and_draws(jax.random.split(KEY, DRAWS)))
    return draws.mean() - entropy - target, draws.std() / np.sqrt(DRAWS)


def test_elbo_less_entropy_is_map_plus_half_the_trace_of_the_hessian():
    """(ELBO - d log sigma - d (1 + log 2 pi) / 2 - log p(x, mean)) / sigma^2 -> tr Hessian / 2."""
    with jax.enable_x64(True):
        joint, x, mean = model()
        limit = np.trace(jax.jit(jax.hessian(lambda z: joint.log_prob(x, z)))(mean)) / 2
        for sigma in (0.03, 0.01, 1e-3):
            value, error = difference(joint, x, mean, sigma)
            assert abs(value / sigma**2 - limit) < 4 * error / sigma**2 + 20 * sigma**2
        assert error / sigma**2 < 0.03 * abs(limit)  # so the test could fail
        assert abs(value) < 1e-4


def test_gradient_for_the_mean_becomes_that_of_map():
    with jax.enable_x64(True):
        joint, x, mean = model()

        def of(objective, q_of):
            value = lambda mean: objective(KEY, q_of(mean), joint, x).value  # noqa: E731
            return jax.jit(jax.grad(value))(mean)

        expected = of(maximum_a_posteriori, PointMass)
        family = fixed_scale_gaussian(D, scale=1e-7)
        found = of(elbo, lambda mean: family.distribution({"mean": mean}))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="finite and above 0"):
        fixed_scale_gaussian(2, scale=scale)
