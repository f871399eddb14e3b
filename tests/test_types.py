"""Joint: its density and its draws, against the closed form of a linear-Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from tests.pairs import linear_gaussian

WEIGHTS = np.array([[1.0, 0.5], [-0.5, 2.0], [0.3, 0.0]])


def test_log_prob_is_the_sum_of_both():
    model, _ = linear_gaussian(WEIGHTS, 0.7)
    joint = model.joint(model.init(jax.random.key(0)))
    x, z = np.array([0.4, -1.0, 2.0]), np.array([0.2, -0.3])
    expected = stats.norm.logpdf(z).sum() + stats.norm.logpdf(x, WEIGHTS @ z, 0.7).sum()
    np.testing.assert_allclose(joint.log_prob(jnp.asarray(x), jnp.asarray(z)), expected, rtol=1e-5)


def test_draws_have_the_moments_of_the_joint():
    """E[x x'], E[z z'], E[x z'] within four standard errors of W W' + s^2 I, I, W."""
    model, _ = linear_gaussian(WEIGHTS, 0.7)
    joint = model.joint(model.init(jax.random.key(0)))
    z, x = jax.jit(jax.vmap(joint.sample))(jax.random.split(jax.random.key(1), 20_000))
    both = np.concatenate([np.asarray(x), np.asarray(z)], axis=1).astype(np.float64)
    products = both[:, :, None] * both[:, None, :]
    corner = WEIGHTS @ WEIGHTS.T + 0.49 * np.eye(3)
    expected = np.block([[corner, WEIGHTS], [WEIGHTS.T, np.eye(2)]])
    error = products.std(axis=0) / np.sqrt(len(both))
    assert (np.abs(products.mean(axis=0) - expected) < 4 * error).all()
