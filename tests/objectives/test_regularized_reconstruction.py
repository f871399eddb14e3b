"""The penalties against jacfwd, MAP and numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.pairs import digits_pair
from vaejax import inference
from vaejax.distributions import PointMass
from vaejax.objectives import maximum_a_posteriori, reconstruction, regularized_reconstruction

MODEL, _ = digits_pair(inference.point_mass, latent_dim=3)
THETA = jax.jit(MODEL.init)(jax.random.key(0))
JOINT = MODEL.joint(jax.tree.map(lambda leaf: 2 * np.asarray(leaf), THETA))
X = np.random.RandomState(0).randint(0, 2, (8, 8)).astype(np.float32)
Z = np.array([0.5, -1.0, 0.3], np.float32)
KEY = jax.random.key(1)


def terms(key, z, code_penalty, gradient_penalty):
    return regularized_reconstruction(
        key, PointMass(z), JOINT, X, code_penalty=code_penalty, gradient_penalty=gradient_penalty
    )


def test_without_penalties_it_is_the_reconstruction():
    found = jax.jit(lambda z: terms(KEY, z, 0.0, 0.0))(Z)
    plain = jax.jit(lambda z: reconstruction(KEY, PointMass(z), JOINT, X))(Z)
    assert found.metrics.pop("code_penalty") == 0
    jax.tree.map(np.testing.assert_array_equal, found, plain)


def test_a_code_penalty_of_one_is_map_under_the_standard_normal():
    """But for the normal's constant, d / 2 log 2 pi."""

    @jax.jit
    def both(z):
        map_value = maximum_a_posteriori(KEY, PointMass(z), JOINT, X).value
        return terms(KEY, z, 1.0, 0.0).value, map_value

    found, map_value = both(Z)
    np.testing.assert_allclose(found, map_value + 1.5 * np.log(2 * np.pi), rtol=1e-5)


def test_the_gradient_penalty_and_its_gradient_are_unbiased():
    """Against the whole Jacobian by jacfwd, and the derivative of its norm in z."""

    def exact(z):
        jacobian = jax.jacfwd(lambda z: JOINT.likelihood(z).mean())(z)
        return -0.7 * jnp.sum(jacobian**2)

    def penalty(z, key):
        found = terms(key, z, 0.0, 0.7)
        return found.value - found.metrics["reconstruction"]

    keys = jax.random.split(KEY, 4000)
    draws = jax.jit(jax.vmap(jax.value_and_grad(penalty), (None, 0)))(Z, keys)
    truths = jax.jit(jax.value_and_grad(exact))(Z)
    for found, truth in zip(draws, truths, strict=True):
        found = np.asarray(found, np.float64)
        error = found.std(axis=0, ddof=1) / len(keys) ** 0.5
        np.testing.assert_array_less(np.abs(found.mean(axis=0) - truth), 4 * error)
        assert np.all(error < 0.05 * np.max(np.abs(truth)))


@pytest.mark.parametrize("penalties", [(-1.0, 0.0), (0.0, -1.0)])
def test_negative_penalties_are_refused(penalties):
    with pytest.raises(ValueError, match=r"-1\.0"):
        terms(KEY, Z, *penalties)
