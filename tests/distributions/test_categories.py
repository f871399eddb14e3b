"""Independent categories from logits."""

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax import distributions
from vaejax.distributions import Categories, support_problem

LOGITS = jax.random.normal(jax.random.key(0), (2, 3, 4)) * 2


def test_it_is_a_sum_of_independent_categoricals():
    p, reference = Categories(LOGITS), distrax.Independent(distrax.Categorical(LOGITS), 2)
    x = p.sample(seed=jax.random.key(1), sample_shape=(50,))
    assert (x.shape, x.dtype) == ((50, 2, 3), jnp.int32)
    assert p.event_shape == (2, 3)
    np.testing.assert_allclose(p.log_prob(x), reference.log_prob(x), rtol=1e-5)
    assert p.log_prob(x[0]).shape == ()
    one = Categories(LOGITS[0, 0])
    total = np.exp([one.log_prob(jnp.asarray(c)) for c in range(4)]).sum()
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)


def test_draws_have_their_frequencies():
    n = 20_000
    x = np.asarray(Categories(LOGITS).sample(seed=jax.random.key(2), sample_shape=(n,)))
    p = np.asarray(jax.nn.softmax(LOGITS))
    found = np.stack([(x == c).mean(axis=0) for c in range(4)], axis=-1)
    assert np.all(np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-9)


def test_it_has_no_mean_and_a_support():
    p = Categories(LOGITS)
    assert not distributions.has_mean(p)
    assert support_problem(p, np.array([0, 3])) is None
    for bad in ([4], [-1], [0.5]):
        line = support_problem(p, np.array(bad))
        assert line is not None and "Categories is over whole numbers from 0 to 3" in line


@pytest.mark.parametrize("bound", [jax.jit, jax.grad])
def test_it_is_a_pytree_and_has_gradients(bound):
    x = jnp.zeros((2, 3), jnp.int32)
    value = bound(lambda logits: Categories(logits).log_prob(x))(LOGITS)
    assert np.isfinite(value).all()
