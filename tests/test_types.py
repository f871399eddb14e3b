"""Joint: its density and its draws, against the closed form of a linear-Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import vaejax
from tests.pairs import elbo_objective, linear_gaussian
from vaejax import marginal_likelihood
from vaejax.types import check_key

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


def test_what_is_no_key_is_refused_in_the_words_of_the_argument():
    model, q = linear_gaussian(WEIGHTS, 0.7)
    joint = model.joint(model.init(jax.random.key(0)))
    xs = np.zeros((4, 3), np.float32)
    refused = pytest.raises(TypeError, match=r"^\w+: key: expected a key, as .* makes it; got int$")
    with refused:
        vaejax.log_marginal_likelihood(0, joint, xs)
    with refused:
        vaejax.fit(0, model, q, elbo_objective, xs, num_steps=1, batch_size=4)
    with refused:
        marginal_likelihood.importance_sampling(0, joint, xs[0], joint.prior, num_samples=2)
    for key in (np.int64(0), jnp.zeros(2), None):
        with pytest.raises(TypeError, match="expected a key"):
            check_key("fit", key)
    for key in (jax.random.key(0), jax.random.PRNGKey(0), jax.random.split(jax.random.key(0))):
        check_key("fit", key)
    jax.eval_shape(lambda key: check_key("fit", key), jax.random.key(0))
