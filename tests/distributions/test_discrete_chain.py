"""Message passing in a discrete chain against the sum over all sequences of states."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.distributions import DiscreteChain, sample_and_kl

T, K = 5, 3
KEY = jax.random.key(0)
SEQUENCES = np.array(list(itertools.product(range(K), repeat=T)))


def parameters(length=T, seed=0):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(length, K, K))
    logits[0] = logits[0, 0]
    return logits, 2 * random.normal(size=(length, K))


def enumerated(logits, psi):
    """(q(s) of each sequence, log Z, E_q[psi]) in float64."""
    log_p = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    before = np.concatenate([SEQUENCES[:, :1], SEQUENCES[:, :-1]], axis=1)
    times = np.arange(T)
    said = psi[times, SEQUENCES].sum(axis=1)
    log_joint = log_p[times, before, SEQUENCES].sum(axis=1) + said
    log_z = np.logaddexp.reduce(log_joint)
    q = np.exp(log_joint - log_z)
    return q, log_z, np.sum(q * np.where(q > 0, said, 0.0))


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("impossible", [False, True])
def test_densities_marginals_and_kl_are_those_of_all_sequences(parallel, impossible):
    logits, psi = parameters()
    if impossible:
        logits[2:, 0, 1] = -np.inf
        psi[3, 2] = -np.inf
    q, log_z, said = enumerated(logits, psi)
    p = DiscreteChain(jnp.asarray(logits, jnp.float32), parallel=parallel)
    found = p.posterior(jnp.asarray(psi, jnp.float32))
    np.testing.assert_allclose(jnp.exp(found.log_prob(jnp.asarray(SEQUENCES))), q, atol=1e-5)
    np.testing.assert_allclose(found.known_kl.value, said - log_z, rtol=1e-4)
    entropy = -np.sum(q[q > 0] * np.log(q[q > 0]))
    np.testing.assert_allclose(found.entropy(), entropy, rtol=1e-4)
    for t in range(T):
        marginal = [q[SEQUENCES[:, t] == k].sum() for k in range(K)]
        np.testing.assert_allclose(found.marginals()[t], marginal, atol=1e-5)
    draws = found.sample(seed=KEY, sample_shape=(2000,))
    share = np.mean(np.asarray(draws)[:, 1] == 0)
    assert abs(share - float(found.marginals()[1, 0])) < 0.05


@pytest.mark.parametrize("parallel", [False, True])
def test_gradients_are_finite_differences_and_finite_where_states_are_impossible(parallel):
    logits, psi = parameters()

    def total(logits, psi):
        p = DiscreteChain(logits, parallel=parallel)
        q = p.posterior(psi)
        _, kl = sample_and_kl(KEY, q, p)
        return kl + jnp.sum(jnp.sin(q.marginals()))

    gradient = jax.jit(jax.grad(total, argnums=(0, 1)))
    with jax.enable_x64(True):
        found = gradient(jnp.asarray(logits), jnp.asarray(psi))
        random = np.random.default_rng(1)
        v, w = random.normal(size=logits.shape), random.normal(size=psi.shape)
        f = jax.jit(total)
        up, down = (f(logits + s * v, psi + s * w) for s in (1e-5, -1e-5))
        slope = jnp.sum(found[0] * v) + jnp.sum(found[1] * w)
        np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-5)
    logits[2:, 0, 1] = -np.inf
    psi[3] = -np.inf, 0.0, -np.inf
    impossible = gradient(jnp.asarray(logits, jnp.float32), jnp.asarray(psi, jnp.float32))
    assert all(np.isfinite(leaf).all() for leaf in impossible)


def test_parallel_is_sequential_over_1000_steps_and_a_length_cuts_both():
    logits, psi = (jnp.asarray(a, jnp.float32) for a in parameters(1000))
    a, b = (
        DiscreteChain(logits, 700, parallel=parallel).posterior(psi) for parallel in (False, True)
    )
    short = DiscreteChain(logits[:700]).posterior(psi[:700])
    np.testing.assert_allclose(a.marginals(), b.marginals(), atol=1e-4)
    np.testing.assert_allclose(a.known_kl.value, b.known_kl.value, rtol=1e-4)
    np.testing.assert_allclose(a.known_kl.value, short.known_kl.value, rtol=1e-4)
    np.testing.assert_allclose(a.entropy(), short.entropy(), rtol=1e-4)
    np.testing.assert_allclose(b.entropy(), short.entropy(), rtol=1e-4)
    np.testing.assert_allclose(a.marginals()[:700], short.marginals(), atol=1e-4)


def test_bad_input_is_refused_in_one_line():
    logits, psi = parameters()
    p = DiscreteChain(logits)
    with pytest.raises(ValueError, match=r"of shape \(5, 3\); got \(5, 4\)"):
        p.posterior(np.zeros((T, K + 1)))
    psi[2] = -np.inf
    with pytest.raises(ValueError, match="step 2 are NaN or"):
        p.posterior(psi)
    beyond = DiscreteChain(logits, 2).posterior(psi).known_kl.value  # where it is not looked at
    np.testing.assert_allclose(beyond, DiscreteChain(logits[:2]).posterior(psi[:2]).known_kl.value)
    stays = np.where(np.eye(K) == 1, 0.0, -np.inf) + np.zeros((T, 1, 1))
    stays[0] = 0.0
    moves = np.where(np.arange(K) == np.arange(T)[:, None] % 2, 0.0, -np.inf)
    with pytest.raises(ValueError, match="no sequence of states that the chain allows"):
        DiscreteChain(stays).posterior(moves)
    with pytest.raises(ValueError, match=r"logits of shape \(time, k, k\)"):
        DiscreteChain(logits[0])
    for value in (np.nan, np.inf):
        bad = logits.copy()
        bad[3, 1, 2] = value
        with pytest.raises(ValueError, match="the logits at step 3 are NaN or"):
            DiscreteChain(bad)
    logits[2, 1] = -np.inf
    with pytest.raises(ValueError, match=r"at step 2 are NaN or \+inf, or a row is -inf for every"):
        DiscreteChain(logits)
