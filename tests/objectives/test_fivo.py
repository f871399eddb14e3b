"""FIVO: its gradients against enumeration of every draw, and where it stands among the bounds."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from vaejax.distributions import (
    Categorical,
    DiagonalGaussian,
    Markov,
    StateSpace,
    filter_particles,
    standard_normal,
)
from vaejax.distributions.particles import multinomial
from vaejax.marginal_likelihood import exact
from vaejax.objectives import elbo, fivo, iwae

X = np.array([0, 1, 1], np.int32)
CHANGE = np.log([[0.7, 0.3], [0.4, 0.6]])
PROPOSED = np.log([[0.5, 0.5], [0.35, 0.65]])


def log_seen(theta):
    """log p(x_t | z_t), (z, x)."""
    return jax.nn.log_softmax(jnp.stack([jnp.array([1.0, 0.0]) * theta, jnp.array([-0.5, 0.8])]))


def hidden(theta):
    table = Partial(lambda table, t, z: Categorical(table[z]), jnp.asarray(CHANGE))
    seen = Partial(lambda table, t, z: Categorical(table[z]), log_seen(theta))
    return StateSpace(Categorical(jnp.zeros(2)), table, seen)


def proposal():
    step = Partial(lambda table, t, z: Categorical(table[z]), jnp.asarray(PROPOSED))
    return Markov(Categorical(jnp.log(jnp.array([0.4, 0.6]))), step, 3)


def expectation(theta, held):
    """E[log of the estimate] of two particles that are drawn anew at each step: a sum over their
    states and ancestors, the probability of the ancestors being that of the parameter `held`."""
    seen, chosen_by = np.asarray(log_seen(theta)), np.asarray(log_seen(held))
    first = np.log([0.4, 0.6])
    pairs = list(itertools.product((0, 1), repeat=2))

    def increments(t, before, after, seen):
        ratios = (
            [np.log(0.5) - first[a] for a in after]
            if t == 0
            else [CHANGE[b, a] - PROPOSED[b, a] for b, a in zip(before, after, strict=True)]
        )
        return np.array([r + seen[a, X[t]] for r, a in zip(ratios, after, strict=True)])

    def go(t, before, log_q, log_p):
        total = 0.0
        for after in pairs:
            drawn = first[list(after)] if t == 0 else PROPOSED[list(before), list(after)]
            log_w = increments(t, before, after, seen)
            reached = log_p + np.logaddexp(*log_w) - np.log(2.0)
            density = log_q + drawn.sum()
            if t == 2:
                total += np.exp(density) * reached
                continue
            chosen = increments(t, before, after, chosen_by)
            chosen = chosen - np.logaddexp(*chosen)
            for ancestors in pairs:
                parents = [after[i] for i in ancestors]
                total += go(t + 1, parents, density + chosen[list(ancestors)].sum(), reached)
        return total

    return go(0, (), 0.0, 0.0)


def test_gradients_against_enumeration():
    @jax.jit
    @jax.vmap
    def gradients(key):
        def value(theta, with_score):
            found = filter_particles(
                key,
                hidden(theta),
                X,
                proposal(),
                num_particles=2,
                resample=multinomial,
                threshold=2.0,
            )
            score = found.log_ancestors
            return found.log_p + with_score * (score - jax.lax.stop_gradient(score))

        return jax.grad(value)(0.6, 0.0), jax.grad(value)(0.6, 1.0)

    path, whole = (np.asarray(g, np.float64) for g in gradients(jax.random.split(KEY, 100_000)))
    with jax.enable_x64(True):
        up, down = 0.6 + 1e-4, 0.6 - 1e-4
        truth = {
            False: (expectation(up, 0.6) - expectation(down, 0.6)) / 2e-4,
            True: (expectation(up, up) - expectation(down, down)) / 2e-4,
        }
    for found, kind in ((path, False), (whole, True)):
        error = found.std() / len(found) ** 0.5
        assert abs(found.mean() - truth[kind]) < 4 * error
    assert abs(truth[True] - truth[False]) > 4 * whole.std() / len(whole) ** 0.5  # a bias


KEY = jax.random.key(0)


def chain(theta):
    def move(theta, t, z):
        return DiagonalGaussian(theta * z, jnp.full(1, -0.5))

    def emit(t, z):
        return DiagonalGaussian(z, jnp.full(1, -1.0))

    return StateSpace(standard_normal(1), Partial(move, theta), Partial(emit))


@pytest.mark.compiled_as_users
def test_it_stands_between_the_importance_weighted_bound_and_log_p():
    x = np.random.default_rng(0).normal(size=(30, 1)).astype(np.float32)
    joint = chain(0.9).joint(30)
    (truth,), _ = exact(joint).log_marginal(x[None])

    @jax.jit
    @jax.vmap
    def values(key):
        q = joint.prior
        return (
            elbo(key, q, joint, x).value,
            iwae(key, q, joint, x, num_samples=20).value,
            fivo(key, q, joint, x, num_particles=20).value,
            fivo(key, q, joint, x, num_particles=20, resampling_gradients=True).value,
        )

    found = [np.asarray(v) for v in values(jax.random.split(KEY, 500))]
    means, errors = [v.mean() for v in found], [v.std() / 500**0.5 for v in found]
    np.testing.assert_array_equal(found[2], found[3])
    assert means[0] + 4 * errors[0] < means[1] and means[1] + 4 * errors[1] < means[2]
    assert means[2] < truth + 3 * errors[2]


def test_what_has_no_steps_is_refused():
    joint = chain(0.9).joint(3)
    with pytest.raises(TypeError, match="q proposes step by step"):
        fivo(KEY, standard_normal(3, 1), joint, np.zeros((3, 1), np.float32), num_particles=2)
    with pytest.raises(ValueError, match="num_particles must be a whole number, at least 1; got 0"):
        fivo(KEY, joint.prior, joint, np.zeros((3, 1), np.float32), num_particles=0)
