"""Message passing in a discrete chain against the sum over all sequences of states."""

import functools
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


@functools.partial(jax.jit, static_argnums=3)
def asked(key, logits, psi, parallel):
    """Of q: log q of all SEQUENCES, KL from p, entropy, marginals and draws."""
    q = DiscreteChain(logits, parallel=parallel).posterior(psi)
    draws = q.sample(seed=key, sample_shape=(2000,))
    return q.log_prob(SEQUENCES), q.known_kl.value, q.entropy(), q.marginals(), draws


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("impossible", [False, True])
def test_densities_marginals_and_kl_are_those_of_all_sequences(parallel, impossible):
    logits, psi = parameters()
    if impossible:
        logits[2:, 0, 1] = -np.inf
        psi[3, 2] = -np.inf
    q, log_z, said = enumerated(logits, psi)
    given = np.float32(logits), np.float32(psi)
    log_q, kl, found_entropy, marginals, draws = asked(KEY, *given, parallel)
    np.testing.assert_allclose(np.exp(log_q), q, atol=1e-5)
    np.testing.assert_allclose(kl, said - log_z, rtol=1e-4)
    entropy = -np.sum(q[q > 0] * np.log(q[q > 0]))
    np.testing.assert_allclose(found_entropy, entropy, rtol=1e-4)
    for t in range(T):
        marginal = [q[SEQUENCES[:, t] == k].sum() for k in range(K)]
        np.testing.assert_allclose(marginals[t], marginal, atol=1e-5)
    share = np.mean(np.asarray(draws)[:, 1] == 0)
    assert abs(share - float(marginals[1, 0])) < 0.05


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
        found = [np.asarray(g) for g in gradient(logits, psi)]
        random = np.random.default_rng(1)
        v, w = random.normal(size=logits.shape), random.normal(size=psi.shape)
        f = jax.jit(total)
        up, down = (f(logits + s * v, psi + s * w) for s in (1e-5, -1e-5))
        slope = np.sum(found[0] * v) + np.sum(found[1] * w)
        np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-5)
    logits[2:, 0, 1] = -np.inf
    psi[3] = -np.inf, 0.0, -np.inf
    impossible = gradient(np.float32(logits), np.float32(psi))
    assert all(np.isfinite(leaf).all() for leaf in impossible)


def test_parallel_is_sequential_over_1000_steps_and_a_length_cuts_both():
    logits, psi = map(np.float32, parameters(1000))

    @functools.partial(jax.jit, static_argnums=(2, 3))
    def posterior(logits, psi, length, parallel):
        q = DiscreteChain(logits, length, parallel=parallel).posterior(psi)
        return q.marginals(), q.known_kl.value, q.entropy()

    marginals, kl, entropy = posterior(logits, psi, 700, False)
    parallel_marginals, parallel_kl, parallel_entropy = posterior(logits, psi, 700, True)
    short_marginals, short_kl, short_entropy = posterior(logits[:700], psi[:700], None, False)
    np.testing.assert_allclose(marginals, parallel_marginals, atol=1e-4)
    np.testing.assert_allclose(kl, parallel_kl, rtol=1e-4)
    np.testing.assert_allclose(kl, short_kl, rtol=1e-4)
    np.testing.assert_allclose(entropy, short_entropy, rtol=1e-4)
    np.testing.assert_allclose(parallel_entropy, short_entropy, rtol=1e-4)
    np.testing.assert_allclose(marginals[:700], short_marginals, atol=1e-4)


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
