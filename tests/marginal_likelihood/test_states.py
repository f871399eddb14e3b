"""Filtered and smoothed states against dense Gaussian algebra, and against all paths of a small
hidden Markov model."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from tests.marginal_likelihood.test_particle_filter import (
    CASES,
    CHANGE,
    INITIAL,
    KEY,
    SEEN,
    case,
    model,
    proposal,
)
from tests.state_space import C, R, state_moments
from vaejax.distributions import Categorical, DiagonalGaussian, StateSpace
from vaejax.marginal_likelihood import exact_states, filtered_states, smoothed_states


def dense(x, actions, length):
    """(means, standard deviations) (length, 2), filtered and smoothed, by conditioning the joint
    normal of all states on the frames that are seen."""
    mean, covariance = state_moments(actions[:length])
    see = np.kron(np.eye(length), C)
    observed = np.repeat(~np.isnan(x[:length, 0]), 3)

    def given(frames):
        rows = observed & np.repeat(np.arange(length) < frames, 3)
        A = see[rows]
        gain = covariance @ A.T @ np.linalg.inv(A @ covariance @ A.T + R * np.eye(len(A)))
        after = covariance - gain @ A @ covariance
        away = x[:length].reshape(-1)[rows] - A @ mean
        std = np.sqrt(np.diagonal(after))
        return (mean + gain @ away).reshape(length, 2), std.reshape(length, 2)

    each = [given(t + 1) for t in range(length)]
    filtered = tuple(np.array([both[k][t] for t, both in enumerate(each)]) for k in (0, 1))
    return filtered, given(length)


@pytest.mark.parametrize("name", CASES)
def test_exact_states_are_those_of_dense_algebra(name):
    x, given, _ = case(name)
    length = int(given["length"])
    found = exact_states(model(given["actions"]).joint(length, len(x)), x)
    for states, (mean, std) in zip(found, dense(x, given["actions"], length), strict=True):
        np.testing.assert_allclose(states.mean[:length], mean, atol=1e-5)
        np.testing.assert_allclose(states.std[:length], std, atol=1e-5)
        assert states.mean.shape == (len(x), 2)
        assert not states.mean[length:].any() and not states.std[length:].any()


@pytest.mark.parametrize(("name", "guided"), [("missing", False), ("padded", True)])
def test_particles_reach_the_exact_states(name, guided):
    """The bias of weighted moments is of order 1 / ess."""
    x, given, _ = case(name)
    actions, length = given["actions"], int(given["length"])

    @jax.jit
    @jax.vmap
    def both(key):
        q = proposal(jnp.asarray(actions), jnp.asarray(x)) if guided else None
        settings = {"num_particles": 1000, "length": length}
        one = filtered_states(key, model(actions), x, q, **settings)
        return one, smoothed_states(key, model(actions), x, q, num_draws=50, **settings)

    found = both(jax.random.split(KEY, 10))
    for states, exactly in zip(found, dense(x, actions, length), strict=True):
        bias = 3 / np.asarray(states.ess).mean(axis=0)[:length, None] * exactly[1]
        assert np.median(bias) < 0.05
        for values, truth in zip(states[:2], exactly, strict=True):
            each = np.asarray(values)
            error = 5 * each[:, :length].std(axis=0) / 10**0.5
            assert np.all(np.abs(each[:, :length].mean(axis=0) - truth) < error + bias)
            assert np.median(error) < 0.1 and not each[:, length:].any()
        assert not np.any(states.ess[:, length:])


def test_states_of_a_hidden_markov_model_against_all_paths():
    """Also that whole numbers have moments."""
    x = np.array([0, 2, 1, 1], np.int32)
    hidden = StateSpace(
        Categorical(jnp.log(INITIAL)),
        Partial(lambda table, t, z: Categorical(table[z]), jnp.log(CHANGE)),
        Partial(lambda table, t, z: Categorical(table[z]), jnp.log(SEEN)),
    )

    def mean_given(frames):
        total = np.zeros(5)
        for path in itertools.product(range(3), repeat=4):
            p = INITIAL[path[0]] * np.prod([CHANGE[a, b] for a, b in itertools.pairwise(path)])
            p *= np.prod([SEEN[path[t], x[t]] for t in range(frames)])
            total += p * np.array([1, *path])
        return total[1:] / total[0]

    filtered = jax.jit(lambda: filtered_states(KEY, hidden, x, num_particles=20_000))()
    truth = [mean_given(t + 1)[t] for t in range(4)]
    np.testing.assert_allclose(filtered.mean, truth, atol=0.06)
    smoothed = jax.jit(lambda: smoothed_states(KEY, hidden, x, num_particles=5000))()
    np.testing.assert_allclose(smoothed.mean, mean_given(4), atol=0.1)


def test_what_has_no_exact_states_is_refused():
    bent = model(jnp.zeros((8, 1)))._replace(
        transition=Partial(lambda t, z: DiagonalGaussian(jnp.tanh(z), jnp.zeros(2)))
    )
    x = np.zeros((8, 3), np.float32)
    with pytest.raises(TypeError, match="exact_states expects a state-space model"):
        exact_states(bent.joint(8), x)
    for odd in (x[:4], x[:, :1], x[None]):
        with pytest.raises(ValueError, match=r"exact_states: (x has|expected x of one sequence)"):
            exact_states(model(jnp.zeros((8, 1))).joint(8), odd)
    with pytest.raises(ValueError, match="smoothed_states: num_draws must be a whole number"):
        smoothed_states(KEY, bent, x, num_particles=5, num_draws=0)


@pytest.mark.parametrize("states", [filtered_states, smoothed_states])
def test_a_frame_that_no_particle_explains_leaves_no_effective_particles(states):
    x, given, _ = case("whole")
    x = np.array(x)
    x[2] = 1e25  # log p is -inf in float32
    found = jax.jit(lambda key: states(key, model(given["actions"]), x, num_particles=100))(KEY)
    ess = np.asarray(found.ess)
    assert not ess[2:].any()
    assert (states is smoothed_states) == (not ess[:2].any())


def test_an_infinite_frame_is_refused():
    x, given, _ = case("whole")
    x = np.array(x)
    x[2] = np.inf
    steps = model(given["actions"])
    for function in (filtered_states, smoothed_states):
        with pytest.raises(ValueError, match="frame 2 of x is infinite"):
            function(KEY, steps, x, num_particles=10)
    with pytest.raises(ValueError, match="frame 2 of x is infinite"):
        exact_states(steps.joint(len(x)), x)
