"""States that learn alike, then apart: against one linear system, and step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vaejax.distributions import LinearChain, Potential
from vaejax.distributions.factors import factor_of
from vaejax.generative import switching_linear_dynamical_system
from vaejax.generative.structured.switching_system import alike, turned_apart
from vaejax.training.one_system_first import one_system_first
from vaejax.types import Conditions, Params

K, D, T = 3, 2, 5
KEY = jax.random.key(0)
PRIOR = switching_linear_dynamical_system(K, D)
OF_Z = ("mean", "first", "A", "b", "noise")


@jax.jit
def moved(seed):
    """Parameters of states that differ."""
    leaves, structure = jax.tree.flatten(PRIOR.init(KEY))
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    pairs = zip(leaves, keys, strict=True)
    return jax.tree.unflatten(
        structure, [x + 0.3 * jax.random.normal(k, x.shape) for x, k in pairs]
    )


def spread(parameters):
    """The largest difference of two states, of each parameter of z."""
    leaves = jax.tree.leaves({name: parameters[name] for name in OF_Z})
    return np.array([np.ptp(np.asarray(leaf), axis=0).max() for leaf in leaves])


def test_states_alike_are_one_linear_system():
    @jax.jit
    def found_and_expected(theta, potential):
        q = PRIOR.distribution(theta, Conditions(jnp.ones(T, bool))).posterior(potential)
        A, b = (jnp.broadcast_to(theta[name][0], (T, *theta[name].shape[1:])) for name in "Ab")
        first, noise = (factor_of(theta[name])[0] for name in ("first", "noise"))
        G = jnp.broadcast_to(noise, (T, D, D)).at[0].set(first)
        expected = LinearChain(A, b.at[0].set(theta["mean"][0]), G).posterior(potential)
        kls = q.known_kl.value, expected.known_kl.value
        return kls, (q.states.mean(), expected.mean()), q.switches.marginals()

    h = np.random.RandomState(0).randn(T, D).astype(np.float32)
    potential = Potential(h, np.ones((T, D), np.float32))
    kls, means, marginals = found_and_expected(jax.jit(alike)(moved(1)), potential)
    np.testing.assert_allclose(*kls, rtol=1e-4)
    np.testing.assert_allclose(*means, atol=1e-5)
    np.testing.assert_allclose(marginals, 1 / K, atol=1e-6)


def test_states_turn_apart_and_grow_no_longer():
    theta = jax.jit(alike)(moved(1))
    apart = jax.jit(turned_apart)(KEY, theta)
    theta, apart = jax.tree.map(np.asarray, (theta, apart))
    lengths = (np.linalg.norm(t["A"], ord=2, axis=(1, 2)) for t in (theta, apart))
    np.testing.assert_allclose(*lengths, rtol=1e-5)
    steps = [(i, j) for i in range(K) for j in range(i)]
    assert all(np.abs(apart["A"][i] - apart["A"][j]).max() > 0.02 for i, j in steps)
    assert all(np.abs(apart["b"][i] - apart["b"][j]).max() > 0.02 for i, j in steps)


def test_in_the_first_steps_the_states_are_alike_then_apart_once():
    """A loss without a slope: all that moves, the states' equality moves."""

    def loss(params, key, examples, step):
        return 0.0 * jnp.sum(params.generative["prior"]["A"]), ()

    update = one_system_first(loss, optax.sgd(1.0), alike, turned_apart, first_steps=2)
    params = Params({"prior": moved(2)}, ())
    state, step, found = update.init(params), jax.jit(update.step, static_argnums=4), []
    for i in range(4):
        params, state, _ = step(jax.random.key(i), params, state, (), None, i)
        found.append(params.generative["prior"])
    assert spread(moved(2)).min() > 0.01
    assert spread(found[0]).max() < 1e-6 and spread(found[1]).max() < 1e-6
    assert np.ptp(np.asarray(found[2]["A"]), axis=0).max() > 0.02
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, found[2], found[3])))


def test_no_first_step_at_all_is_refused():
    with pytest.raises(ValueError, match="first_steps must be a whole number, at least 1; got 0"):
        one_system_first(lambda *_: None, optax.sgd(1.0), alike, turned_apart, first_steps=0)
