"""log p(x) of chains of discrete states against the sum over every sequence of them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax.tree_util import Partial

from vaejax import generative, networks
from vaejax.distributions import Bernoulli, DiagonalGaussian, StateSpace
from vaejax.marginal_likelihood import exact, log_marginal_likelihood
from vaejax.types import Conditions

KEY = jax.random.key(0)
LENGTH, ROOM = 4, 6


def pianos():
    """Three states, binary frames of five."""
    model = generative.sequence_model(
        generative.hidden_markov(3, stay=0.6), networks.MLP((8,), (5,)), Bernoulli
    )
    joint = model.joint(jax.jit(model.init)(KEY), Conditions(jnp.arange(ROOM) < LENGTH))
    return joint, list(range(3))


def _bits(theta, t, z):
    return Bernoulli(theta @ z + 0.1 * t)


def _sum_of_bits(t, z):
    return DiagonalGaussian(jnp.sum(z)[None] + t, jnp.zeros(1))


def bits():
    """Two bits for each frame, real frames."""
    theta = jnp.array([[1.0, -2.0], [0.5, 1.5]])
    model = StateSpace(
        Bernoulli(jnp.array([0.3, -0.5])), Partial(_bits, theta), Partial(_sum_of_bits)
    )
    return model.joint(LENGTH, ROOM), list(itertools.product((0.0, 1.0), repeat=2))


@pytest.mark.parametrize("model", [pianos, bits])
def test_it_is_the_sum_over_every_sequence_without_missing_frames_and_padding(model):
    joint, states = model()
    xs = np.array(jax.jit(jax.vmap(joint.sample))(jax.random.split(KEY, 4))[1], np.float32)
    xs[1, 2] = np.nan
    xs[2, :] = np.nan
    xs[3, LENGTH], xs[3, LENGTH + 1 :, 0] = np.inf, np.nan  # beyond the length nothing counts
    sequences = np.array(list(itertools.product(states, repeat=LENGTH)))
    padding = [(0, 0), (0, ROOM - LENGTH)] + [(0, 0)] * (sequences.ndim - 2)
    sequences = np.pad(sequences, padding)
    clean = np.where(np.isin(np.arange(ROOM), np.arange(LENGTH))[:, None], xs, 0.0)
    each = jax.jit(jax.vmap(lambda x: jax.vmap(lambda z: joint.log_prob(x, z))(sequences)))(clean)
    truth = scipy.special.logsumexp(np.asarray(each), axis=1)
    found = log_marginal_likelihood(KEY, joint, xs)
    assert found.method.startswith("exact: a sum over all sequences")
    np.testing.assert_allclose(found.value, truth, rtol=1e-5, atol=1e-5)
    assert abs(found.value[2]) < 1e-12
    assert (found.std_error <= 1e-12 * np.abs(found.value)).all()


def test_a_frame_that_is_neither_seen_nor_missing_is_refused():
    joint, _ = pianos()
    x = np.zeros((1, ROOM, 5), np.float32)
    x[0, 1, 2] = np.nan
    with pytest.raises(ValueError, match="frame 1 of x is NaN in part"):
        exact(joint).log_marginal(x)


def _real(t, z):
    return DiagonalGaussian(z, jnp.zeros(2))


def test_steps_over_other_values_than_the_first_are_not_summed():
    model = StateSpace(Bernoulli(jnp.zeros(2)), Partial(_real), Partial(_sum_of_bits))
    assert exact(model.joint(LENGTH)) is None
