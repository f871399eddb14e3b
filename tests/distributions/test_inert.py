"""Steps beyond a chain's length that have a density: what a q over all of z is fitted to."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests import state_space as linear
from tests.evaluation.test_evaluated_sequences import MODEL, PARAMS, Q
from vaejax.distributions import (
    FullGaussian,
    WithInertSteps,
    held_fixed,
    sample_and_kl,
    standard_normal,
    with_inert_steps,
)
from vaejax.evaluation.gaps import Gaps, bind_whole, gap_programs
from vaejax.inference import full_gaussian
from vaejax.objectives import elbo
from vaejax.types import Conditions, Example

KEY = jax.random.key(0)
LENGTH, ROOM = 3, 6


def example(room):
    x, actions = linear.sequence(LENGTH)
    x, given = linear.padded(x, actions, room)
    return Example(x, Conditions(np.arange(room) < LENGTH, given["actions"]))


@functools.cache
def bound(room):
    return jax.jit(lambda example: bind_whole(MODEL, Q, PARAMS, example))(example(room))


@jax.jit
def elbo_of(keys, joint, q, x):
    return jax.vmap(lambda key: elbo(key, q, joint, x).value)(keys)


def test_the_density_is_the_chains_times_that_of_the_inert_steps():
    joint, q, _ = bound(ROOM)
    for p in (joint.prior, q):
        z, log_p = jax.jit(lambda p: p.sample_and_log_prob(seed=KEY))(p)
        assert np.all(np.asarray(z[LENGTH:]) != 0)
        inert = scipy.stats.norm.logpdf(np.asarray(z[LENGTH:], np.float64)).sum()
        log_prob = jax.jit(lambda p, z: p.log_prob(z))
        short = log_prob(p.chain, z)
        np.testing.assert_allclose(log_p, short + inert, rtol=1e-5)
        np.testing.assert_allclose(log_prob(p, z), log_p, rtol=1e-5)
        # What a family's draws have there is no 0.
        moved = np.array(z)
        moved[LENGTH:] += 1.0
        assert log_prob(p.chain, moved) == short
        many = jax.jit(lambda p: p.sample(seed=KEY, sample_shape=(4000,)))(p)[:, LENGTH:]
        assert np.asarray(many).std() == pytest.approx(1.0, abs=0.05)
        p.check_leaves()
        assert isinstance(held_fixed(p), WithInertSteps)


def test_two_chains_have_the_kl_of_their_steps_that_count():
    joint, q, x = bound(ROOM)
    draw = jax.jit(functools.partial(sample_and_kl, KEY))
    z, kl = draw(q, joint.prior)
    _, short = draw(q.chain, joint.prior.chain)
    assert kl == short and np.all(np.asarray(z[LENGTH:]) != 0)
    unpadded, own, y = bound(LENGTH)
    np.testing.assert_allclose(
        elbo_of(KEY[None], joint, q, x), elbo_of(KEY[None], unpadded, own, y), rtol=1e-5
    )


def test_other_distributions_stay_as_they_are():
    p = standard_normal(2)
    assert with_inert_steps(p) is p


def exact_posterior(room):
    """p(z | x) of the linear model as one Gaussian over all of z, N(0, I) behind the length."""
    x, actions = linear.sequence(LENGTH)
    size = 2 * LENGTH
    precision, shift = np.zeros((size, size)), np.zeros(size)
    precision[:2, :2] = np.linalg.inv(linear.P)
    shift[:2] = np.linalg.solve(linear.P, linear.M)
    inverse = np.linalg.inv(linear.Q)
    for t in range(LENGTH):
        now = slice(2 * t, 2 * t + 2)
        precision[now, now] += linear.C.T @ linear.C / linear.R
        shift[now] += linear.C.T @ x[t] / linear.R
        if t > 0:
            before = slice(2 * t - 2, 2 * t)
            u = linear.B @ actions[t]
            precision[now, now] += inverse
            precision[before, before] += linear.F.T @ inverse @ linear.F
            precision[now, before] -= inverse @ linear.F
            precision[before, now] -= linear.F.T @ inverse
            shift[now] += inverse @ u
            shift[before] -= linear.F.T @ inverse @ u
    covariance = np.eye(2 * room)
    covariance[:size, :size] = np.linalg.inv(precision)
    mean = np.zeros(2 * room)
    mean[:size] = np.linalg.solve(precision, shift)
    factor = np.linalg.cholesky(covariance)
    scale = np.diag(factor)
    lower = (factor / scale[:, None])[np.tril_indices(2 * room, -1)]
    arrays = mean.reshape(room, 2), np.log(scale).reshape(room, 2), lower
    return FullGaussian(*(jnp.asarray(a, jnp.float32) for a in arrays))


@pytest.mark.parametrize("room", [LENGTH, ROOM])
def test_the_best_full_gaussian_reaches_the_kalman_log_likelihood(room):
    """At every draw, for it is the posterior; padding would otherwise add what q says of it."""
    joint, _, x = bound(room)
    q = exact_posterior(room)
    draws = elbo_of(jax.random.split(KEY, 20), joint, q, x)
    truth = linear.kalman_log_likelihood(*linear.sequence(LENGTH))
    np.testing.assert_allclose(draws, truth, atol=1e-3)


def test_the_best_q_of_a_family_does_not_depend_on_padding():
    """As gaps fits it; the rows of a table, within their errors and the optimizer's."""
    settings = Gaps(max_steps=300, num_bound_samples=2000)
    programs = gap_programs(MODEL, Q, settings)
    found = []
    for room in (LENGTH, ROOM):
        batch = jax.tree.map(lambda leaf: np.asarray(leaf)[None], example(room))
        found.append(programs("diagonal", 1)((KEY, PARAMS), np.arange(1), batch))
    short, long = found
    error = np.hypot(short["diagonal_std_error"], long["diagonal_std_error"])
    assert abs(short["diagonal"] - long["diagonal"])[0] < 4 * error[0] + 0.02


def test_large_full_gaussians_are_fitted_at_a_lower_rate():
    assert full_gaussian(50).learning_rate == 0.1
    assert full_gaussian(50, 2).learning_rate == 0.01
