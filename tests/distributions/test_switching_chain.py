"""The switching linear chain against the linear chain, enumeration and finite differences."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from tests.distributions.test_linear_messages import dense
from vaejax.distributions import (
    DiscreteChain,
    LinearChain,
    Potential,
    SwitchingChain,
    converged,
    kl_form,
    sample_and_kl,
)
from vaejax.distributions import mean_field as module
from vaejax.distributions import switching_chain as chains
from vaejax.distributions.linear_messages import Steps

T, K, D = 5, 2, 3
KEY = jax.random.key(0)


def parameters(states=K, length=T, seed=0):
    """logits, A, b, G of each state, h and J; in float64."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(length, states, states))
    logits[0] = logits[0, 0]
    A = random.normal(size=(length, 1, D, D)) + random.normal(size=(length, states, D, D))
    b = random.normal(size=(length, 1, D)) + 0.5 * random.normal(size=(length, states, D))
    G = 0.3 * np.tril(random.normal(size=(length, states, D, D)), -1)
    G += 0.5 * np.exp(0.5 * random.normal(size=(length, states, D, 1))) * np.eye(D)
    W = random.normal(size=(length, D, 1))
    J = W @ np.swapaxes(W, 1, 2)
    J[2] = 0.0
    h = np.einsum("tij,tj->ti", J, random.normal(size=(length, D)))
    return {"logits": logits, "A": 0.3 * A, "b": b, "G": G, "h": h, "J": J}


def prior(p, parallel=False, length=None):
    switches = DiscreteChain(p["logits"], length, parallel=parallel)
    return SwitchingChain(switches, p["A"], p["b"], p["G"])


def bound(p, parallel=False):
    """E_q[psi] - KL, in nats: at most log Z."""
    q = prior(p, parallel).posterior(Potential(p["h"], p["J"]))
    mean, covariance, _ = q.states.moments()
    psi = jnp.sum(p["h"] * mean) - 0.5 * jnp.sum(p["J"] * covariance)
    psi -= 0.5 * jnp.einsum("ti,tij,tj->", mean, p["J"], mean)
    return psi - q.known_kl.value


# One program for all the tests that ask for its numbers.
POSTERIOR = jax.jit(lambda p: prior(p).posterior(Potential(p["h"], p["J"])))
BOUND = jax.jit(jax.value_and_grad(bound))


def single(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), tree)


def test_with_one_state_it_is_the_linear_chain_in_bound_and_gradient():
    p = single(parameters(states=1))

    def linear(p):
        steps = (p[name][:, 0] for name in ("A", "b", "G"))
        q = LinearChain(*steps).posterior(Potential(p["h"], p["J"]))
        mean, covariance, _ = q.moments()
        psi = jnp.sum(p["h"] * mean) - 0.5 * jnp.sum(p["J"] * covariance)
        psi -= 0.5 * jnp.einsum("ti,tij,tj->", mean, p["J"], mean)
        return psi - q.known_kl.value

    expected, of_linear = jax.jit(jax.value_and_grad(linear))(p)
    in_parallel = jax.jit(jax.value_and_grad(lambda p: bound(p, parallel=True)))
    for value, gradient in (BOUND(p), in_parallel(p)):
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        for name in ("A", "b", "h", "J"):
            np.testing.assert_allclose(gradient[name], of_linear[name], rtol=1e-4, atol=1e-5)
        lower = (np.tril(g["G"]) for g in (gradient, of_linear))
        np.testing.assert_allclose(*lower, rtol=1e-4, atol=1e-5)


def evidence(p):
    """log Z by the sum over all s, each a linear chain."""
    total = []
    for s in itertools.product(range(K), repeat=T):
        steps = Steps(*(np.stack([p[name][t, s[t]] for t in range(T)]) for name in "AbG"))
        log_p = jax.nn.log_softmax(p["logits"])
        chain = log_p[0, 0, s[0]] + sum(log_p[t, s[t - 1], s[t]] for t in range(1, T))
        total.append(float(chain) + dense(steps, p["h"], p["J"])[3])
    return np.logaddexp.reduce(total)


def test_the_bound_is_below_the_evidence_by_enumeration_and_its_kl_is_that_of_draws():
    p = parameters()
    log_z = evidence(p)
    p = single(p)
    value = float(BOUND(p)[0])
    assert log_z - 3.0 < value < log_z
    q = POSTERIOR(p)
    assert converged(q)
    assert kl_form(q, prior(p)) != "closed form" == kl_form(q, q.known_kl.prior)
    z, log_q = jax.jit(lambda q: q.sample_and_log_prob(seed=KEY, sample_shape=(4000,)))(q)
    some = jax.tree.map(lambda a: a[:20], z)
    np.testing.assert_allclose(log_q[:20], jax.jit(lambda q: q.log_prob(some))(q), rtol=1e-4)
    error = float(jnp.std(log_q)) / math.sqrt(len(log_q))
    assert abs(float(jnp.mean(log_q) + q.entropy())) < 4 * error
    ratios = log_q - jax.jit(prior(p).log_prob)(z)
    error = float(jnp.std(ratios)) / math.sqrt(len(ratios))
    assert abs(float(jnp.mean(ratios) - q.known_kl.value)) < 4 * error


def test_where_states_are_certain_the_bound_is_the_evidence():
    """A prior that allows one sequence alone."""
    p = parameters()
    p["logits"] = np.where(np.arange(K) == 1, 0.0, -np.inf) + np.zeros((T, K, K))
    steps = Steps(*(p[name][:, 1] for name in "AbG"))
    value, gradient = BOUND(single(p))
    np.testing.assert_allclose(value, dense(steps, p["h"], p["J"])[3], rtol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def loss(p):
    """A function of q that the fixed point does not maximize: its derivative needs dr."""
    found = prior(p).posterior(Potential(p["h"], p["J"]))
    mean = found.states.moments().mean
    return found.known_kl.value + jnp.sum(jnp.sin(mean)) + jnp.sum(found.switches.marginals()[:, 0])


SLOPES = jax.jit(jax.grad(lambda p, unit: unit * loss(p)))


def direction_of(p):
    random = np.random.default_rng(1)
    v = {name: random.normal(size=leaf.shape) for name, leaf in p.items()}
    v["G"] = np.tril(v["G"])
    v["J"] = v["J"] + np.swapaxes(v["J"], 1, 2)
    v["logits"][0] = v["logits"][0, 0]
    return v


def slope_of(gradient, direction):
    return sum(float(jnp.sum(gradient[name] * direction[name])) for name in gradient)


def test_gradients_through_the_fixed_point_are_finite_differences_and_unrolled_ones():
    with jax.enable_x64(True):
        p = jax.tree.map(jnp.asarray, parameters())
        v, size = direction_of(p), 1e-5
        f = jax.jit(loss)
        up, down = (f({n: p[n] + s * size * v[n] for n in p}) for s in (1, -1))
        implicit = SLOPES(p, 1.0)
        slope = slope_of(implicit, v)
        np.testing.assert_allclose(slope, (up - down) / (2 * size), rtol=1e-5)

    single_slope = slope_of(SLOPES(single(p), 1.0), v)
    np.testing.assert_allclose(single_slope, slope, rtol=1e-3)


def test_the_gradient_has_the_unit_of_the_loss():
    """A loss of 1e-6 times the size has 1e-6 times the gradient: the implicit term is kept."""
    p = single(parameters())
    gradient, small = SLOPES(p, 1.0), SLOPES(p, 1e-6)
    for name, leaf in gradient.items():
        np.testing.assert_allclose(1e6 * small[name], leaf, rtol=1e-3, atol=1e-3)


def unrolled(function, start):
    r = jax.lax.scan(lambda r, _: (function(r), None), start, length=60)[0]
    return r, jnp.asarray(True)


def gradients_by(monkeypatch, fixed_point, both):
    monkeypatch.setattr(module, "fixed_point", fixed_point)
    monkeypatch.setattr(chains, "mean_field", module.mean_field.__wrapped__)  # traced anew
    return jax.jit(jax.vmap(jax.grad(lambda p: loss(p))))(both)


def test_the_implicit_gradient_is_that_of_unrolled_sweeps(monkeypatch):
    """Under vmap and jit, in float32. Without its implicit term it would be another."""
    p = single(parameters())
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.9 * leaf]), p)
    implicit = jax.jit(jax.vmap(jax.grad(loss)))(both)
    by_sweeps = gradients_by(monkeypatch, unrolled, both)
    for name, leaf in implicit.items():
        np.testing.assert_allclose(leaf, by_sweeps[name], rtol=1e-3, atol=1e-3)

    def held(function, start):
        return jax.lax.stop_gradient(unrolled(function, start))

    dropped = gradients_by(monkeypatch, held, both)
    assert np.abs(dropped["A"] - implicit["A"]).max() > 0.02


def test_the_bound_is_stationary_at_the_fixed_point():
    """In r: a sweep from another r gives no better bound, and its slope there is 0."""
    p = single(parameters())
    q = POSTERIOR(p)
    r = q.switches.marginals()
    inverse = jnp.linalg.inv(p["G"])
    model = module.Switching(
        jax.nn.log_softmax(p["logits"]), p["A"], p["b"], p["G"], inverse, jnp.ones(T, bool)
    )

    @jax.jit
    def at(logits):
        """The bound of q(z) at its best given r = softmax(logits), with the q(s) of that r's
        chain: its marginals are r, its steps independent."""
        r = jax.nn.softmax(logits)
        z = module.smoothed_states(r, model, p["h"], p["J"], parallel=False)
        psi = module.expected_log_steps(z, model)
        s = module.discrete_messages.smooth(model.log_p, psi, parallel=False)
        moments = z.moments
        value = jnp.sum(p["h"] * moments.mean) - 0.5 * jnp.sum(p["J"] * moments.covariance)
        value -= 0.5 * jnp.einsum("ti,tij,tj->", moments.mean, p["J"], moments.mean)
        log_det = jnp.sum(jnp.log(jnp.diagonal(z.steps.G, axis1=1, axis2=2)))
        entropy = log_det + T * D * (0.5 + 0.5 * math.log(2 * math.pi))
        return value + entropy - jnp.sum(s.kl) + jnp.sum(s.marginals * psi)

    best = at(jnp.log(r))
    np.testing.assert_allclose(best, BOUND(p)[0], rtol=1e-5)
    gradient = jax.grad(at)(jnp.log(r))
    assert np.abs(gradient).max() < 1e-3
    moved = jax.jit(jax.vmap(lambda k: at(jnp.log(r) + jax.random.normal(k, r.shape))))
    assert (moved(jax.random.split(KEY, 10)) < best + 1e-4).all()


def test_parallel_is_sequential_and_steps_beyond_the_length_change_nothing():
    p = single(parameters(length=7))

    @jax.jit
    def both(p):
        chains = (prior(p, parallel, length=5) for parallel in (False, True))
        return [chain.posterior(Potential(p["h"], p["J"])) for chain in chains]

    short = {name: leaf[:5] for name, leaf in p.items()}
    found = [*both(p), POSTERIOR(short)]
    for q in found[:2]:
        np.testing.assert_allclose(q.known_kl.value, found[2].known_kl.value, rtol=1e-4)
        mean = q.states.moments().mean
        np.testing.assert_allclose(mean[:5], found[2].states.moments().mean, atol=1e-4)
        assert (mean[5:] == 0).all()
    z, kl = sample_and_kl(KEY, found[0], found[0].known_kl.prior)
    assert kl == found[0].known_kl.value and (z[0][5:] == 0).all() and (z[1][5:] == 0).all()


def test_what_is_no_fixed_point_says_so(monkeypatch):
    p = single(parameters())
    monkeypatch.setattr(chains, "mean_field", module.mean_field.__wrapped__)
    h = {"sweeps end": p["h"], "not a number": jnp.nan * p["h"]}
    monkeypatch.setattr(module, "MAX_SWEEPS", 2)
    found = {
        name: bool(jax.jit(lambda h: converged(prior(p).posterior(Potential(h, p["J"]))))(value))
        for name, value in h.items()
    }
    assert not found["sweeps end"] and not found["not a number"]
    assert converged(POSTERIOR(single(parameters(states=1))))


def test_with_every_step_missing_q_is_p():
    p = single(parameters())
    q = POSTERIOR(p | {"h": 0 * p["h"], "J": 0 * p["J"]})
    assert -1e-4 < q.known_kl.value < 4.0  # a product of chains is no switching one
    one = single(parameters(states=1))
    q = POSTERIOR(one | {"h": 0 * one["h"], "J": 0 * one["J"]})
    np.testing.assert_allclose(q.known_kl.value, 0.0, atol=1e-5)
