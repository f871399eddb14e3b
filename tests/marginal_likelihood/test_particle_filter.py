"""Particle filters and `exact` against the Kalman filter, dense algebra and enumeration."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from jax.tree_util import Partial

from tests.state_space import (
    B,
    C,
    F,
    M,
    P,
    Q,
    R,
    gaussian,
    kalman_log_likelihood,
    padded,
    sequence,
    smoother,
    state_moments,
    state_space,
)
from vaejax.distributions import Bernoulli, Categorical, DiagonalGaussian, Markov, StateSpace
from vaejax.generative import forecast
from vaejax.marginal_likelihood import (
    Estimates,
    annealed_importance_sampling,
    exact,
    importance_sampling,
    log_marginal_likelihood,
    particle_filter,
)
from vaejax.marginal_likelihood.weights import std_error_of_log_mean

KEY = jax.random.key(0)


def _move(parts, t, z):
    return gaussian(parts["F"] @ z + parts["inputs"][t], jnp.asarray(Q, z.dtype))


def _emit(C, t, z):
    del t
    return DiagonalGaussian(C @ z, jnp.full(3, 0.5 * np.log(R), z.dtype))


def model(actions):
    parts = {"F": jnp.asarray(F, jnp.float32), "inputs": actions @ jnp.asarray(B.T, jnp.float32)}
    first = gaussian(jnp.asarray(M, jnp.float32), jnp.asarray(P, jnp.float32))
    return StateSpace(first, Partial(_move, parts), Partial(_emit, jnp.asarray(C, jnp.float32)))


def proposal(actions, x):
    """Drawn to what is seen: no exact posterior, and wider than it."""

    def step(parts, t, z):
        seen = jnp.where(jnp.isnan(parts["x"][t]), 0.0, parts["x"][t])
        pulled = 0.5 * (parts["F"] @ z + parts["inputs"][t]) + 0.2 * parts["C"].T @ seen
        return DiagonalGaussian(pulled, jnp.full(2, -0.5))

    parts = {
        "F": jnp.asarray(F, jnp.float32),
        "C": jnp.asarray(C, jnp.float32),
        "inputs": actions @ jnp.asarray(B.T, jnp.float32),
        "x": x,
    }
    return Markov(DiagonalGaussian(jnp.zeros(2), jnp.zeros(2)), Partial(step, parts), len(x))


def dense_log_likelihood(x, actions):
    """log N of the frames that are not missing, from the covariance of all of them."""
    T = len(x)
    mean, covariance = state_moments(actions)
    full = np.kron(np.eye(T), C)
    mean, covariance = full @ mean, full @ covariance @ full.T
    covariance += R * np.eye(3 * T)
    seen = ~np.isnan(x.reshape(-1))
    return scipy.stats.multivariate_normal(mean[seen], covariance[seen][:, seen]).logpdf(
        x.reshape(-1)[seen]
    )


CASES = {"whole": (8, 8, ()), "padded": (6, 10, ()), "missing": (8, 10, (0, 3, 4))}


def case(name):
    """(x, given) in float32, with what is missing; log p(x) by dense algebra."""
    length, room, missing = CASES[name]
    x, actions = sequence(length, seed=3)
    x[list(missing)] = np.nan
    return *padded(x, actions, room), dense_log_likelihood(x, actions)


@functools.cache
def ratios(num_particles, guided, num_filters):
    """Compiled (keys, x, actions, length) -> `Estimate` by key."""

    def one(key, x, actions, length):
        q = proposal(actions, x) if guided else None
        found = particle_filter(
            key,
            model(actions),
            x,
            q,
            num_particles=num_particles,
            num_filters=num_filters,
            length=length,
        )
        kept = ("log_weights", "steps_std_error")
        return found._replace(diagnostics={name: found.diagnostics[name] for name in kept})

    # Of several filters the work is more than the compilation that spares it.
    level = {"xla_backend_optimization_level": 2 if num_filters > 1 else 0}
    return jax.jit(jax.vmap(one, (0, None, None, None)), compiler_options=level)


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_estimate_of_p_is_unbiased(name, guided):
    x, given, truth = case(name)
    keys = jax.random.split(KEY, 3000)
    found = ratios(30, guided, 1)(keys, x, given["actions"], given["length"])
    ratio = np.exp(np.asarray(found.value, np.float64) - truth)
    assert abs(ratio.mean() - 1) < 3 * ratio.std() / len(ratio) ** 0.5
    assert ratio.std() > 0.05


@pytest.mark.parametrize(
    ("name", "num_particles", "stated"), [("missing", 300, 0.95), ("whole", 150, 0.4)]
)
def test_intervals_of_ten_filters_cover(name, num_particles, stated):
    """Where the error is half a nat too. Ten filters that agree by luck do not state one: were the
    spread of their estimates to decide, 85 % of the stated would cover at 150 particles."""
    x, given, truth = case(name)
    keys = jax.random.split(jax.random.key(1), 1000)
    found = ratios(num_particles, False, 10)(keys, x, given["actions"], given["length"])
    estimates = Estimates(*jax.tree.map(np.asarray, found), method="filter")
    known, cover = cover_of(estimates, truth)
    assert known > stated
    assert 0.92 <= cover <= 0.98
    log_p = found.diagnostics["log_weights"]
    spread = np.asarray(jax.vmap(std_error_of_log_mean)(log_p))
    assert (estimates.std_error >= 0.999 * spread).all()
    if name == "missing":
        steps = found.diagnostics["steps_std_error"] * 18**0.5
        assert abs(steps.mean() / log_p.var() - 1) < 0.1  # the variance of one filter's log p
    else:
        by_luck = estimates._replace(std_error=spread, diagnostics={})
        assert cover_of(by_luck, truth)[1] < 0.9


def cover_of(estimates, truth):
    """Share of the intervals that are stated; of these, share that hold."""
    low, high = estimates.interval()
    stated = np.isfinite(low)
    return stated.mean(), np.mean(((low <= truth) & (truth <= high))[stated])


def test_one_filter_states_no_interval():
    x, given, _ = case("whole")
    found = ratios(300, False, 1)(KEY[None], x, given["actions"], given["length"])
    assert np.isinf(found.std_error) and np.isinf(found.diagnostics["steps_std_error"])
    assert np.isinf(Estimates(*jax.tree.map(np.asarray, found), method="").interval()[1])


@pytest.mark.parametrize("name", CASES)
def test_exact_is_the_kalman_filter(name):
    x, given, truth = case(name)
    joint = model(given["actions"]).joint(given["length"], len(x))
    found = exact(joint)
    assert "Kalman" in found.reason
    value, error = found.log_marginal(x[None])
    # What is left is that of the parameters and of x in float32.
    np.testing.assert_allclose(value, truth, atol=2e-5)
    assert error < 1e-5
    if name == "whole":
        np.testing.assert_allclose(kalman_log_likelihood(*sequence(8, seed=3)), truth, rtol=1e-10)
        estimates = log_marginal_likelihood(KEY, joint, x[None])
        assert "Kalman" in estimates.method and abs(estimates.value[0] - truth) < 2e-5


def test_exact_tells_what_is_not_linear():
    linear = model(jnp.zeros((8, 1)))

    def bent(t, z):
        return DiagonalGaussian(jnp.tanh(z), jnp.zeros(2))

    def louder(t, z):
        return DiagonalGaussian(jnp.zeros(3), 0.1 * jnp.stack([z[0], z[1], z[0]]))

    assert exact(linear._replace(transition=Partial(bent)).joint(8)) is None
    assert exact(linear._replace(emission=Partial(louder)).joint(8)) is None


def test_importance_sampling_and_annealing_of_trajectories_reach_the_same():
    x, given, truth = case("padded")
    settings = {"num_chains": 8, "num_temperatures": 50, "num_leapfrog": 2}

    @jax.jit
    def both(x, given):
        joint = model(given["actions"]).joint(given["length"], len(x))
        q = smoother().posterior((), x, state_space_joint(given), given)
        sampled = importance_sampling(KEY, joint, x, q, num_samples=50)
        return sampled.value, annealed_importance_sampling(KEY, joint, x, q, **settings).value

    sampled, annealed = both(x, given)
    np.testing.assert_allclose(sampled, truth, atol=1e-3)  # the exact posterior
    assert abs(annealed - truth) < 0.05


def state_space_joint(given):
    return state_space(len(given["actions"])).joint(jnp.asarray(F, jnp.float32), given)


INITIAL = np.array([0.7, 0.2, 0.1])
CHANGE = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.3, 0.3, 0.4]])
SEEN = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])


def test_a_hidden_markov_model_against_its_forward_sum():
    x = np.array([0, 0, 2, 1, 1, 0], np.int32)
    forward = INITIAL * SEEN[:, x[0]]
    for value in x[1:]:
        forward = (forward @ CHANGE) * SEEN[:, value]
    hidden = StateSpace(
        Categorical(jnp.log(INITIAL)),
        Partial(lambda table, t, z: Categorical(table[z]), jnp.log(CHANGE)),
        Partial(lambda table, t, z: Categorical(table[z]), jnp.log(SEEN)),
    )

    @jax.jit
    @jax.vmap
    def log_p(key):
        return particle_filter(key, hidden, x, num_particles=20, num_filters=1).value

    ratio = np.exp(np.asarray(log_p(jax.random.split(KEY, 4000)), np.float64)) / forward.sum()
    assert abs(ratio.mean() - 1) < 3 * ratio.std() / len(ratio) ** 0.5


def test_memory_does_not_grow_with_time():
    def bytes_of(length):
        def run(key, x):
            actions = jnp.zeros((length, 1))
            return particle_filter(key, model(actions), x, num_particles=10_000).value

        x = jax.ShapeDtypeStruct((length, 3), jnp.float32)
        return jax.jit(run).lower(KEY, x).compile().memory_analysis().temp_size_in_bytes

    assert bytes_of(1000) - bytes_of(100) < 1e6


def test_what_cannot_be_filtered_is_refused():
    x, given, _ = case("whole")
    linear = model(given["actions"])
    with pytest.raises(ValueError, match="num_particles must be a whole number, at least 1; got 0"):
        particle_filter(KEY, linear, x, num_particles=0)
    with pytest.raises(TypeError, match="q proposes step by step, as a Markov distribution does"):
        particle_filter(
            KEY, linear, x, DiagonalGaussian(jnp.zeros((8, 2)), jnp.zeros((8, 2))), num_particles=5
        )
    with pytest.raises(ValueError, match="x has 8 frames, the model 7"):
        particle_filter(KEY, linear.joint(7), x, num_particles=5)
    of_five = linear._replace(num_steps=5)  # actions of five steps, say
    for filtered in (
        lambda: particle_filter(KEY, of_five, x, num_particles=5),
        lambda: of_five.joint(8),
        lambda: forecast(KEY, of_five, x[:4], num_steps=4, num_particles=5),
    ):
        with pytest.raises(ValueError, match="are known for 8 steps; they are known for 5"):
            filtered()
    with pytest.raises(TypeError, match="forecast expects a StateSpace; got Joint"):
        forecast(KEY, linear.joint(8), x, num_steps=2, num_particles=5)
    found = jax.jit(lambda key: particle_filter(key, of_five, x, num_particles=5, length=5))(KEY)
    assert np.isfinite(found.value)


@pytest.mark.parametrize("length", [9, 0, 2.5, np.int64(9), np.int64(0)])
def test_a_length_beyond_the_sequence_is_refused(length):
    linear = model(jnp.zeros((8, 1)))
    x = np.zeros((8, 3), np.float32)
    with pytest.raises(ValueError, match="length must be a whole number from 1 to the 8 frames"):
        particle_filter(KEY, linear, x, num_particles=5, length=length)
    with pytest.raises(ValueError, match="length must be a whole number from 1 to the 8 frames"):
        linear.joint(length, 8)


def test_an_x_or_a_step_of_another_shape_is_refused():
    linear = model(jnp.zeros((8, 1)))
    for x in (np.zeros((8, 1), np.float32), np.zeros(8, np.float32), np.zeros((0, 3), np.float32)):
        with pytest.raises(ValueError, match="expected x of one sequence, time first"):
            particle_filter(KEY, linear, x, num_particles=5)
    x = np.zeros((8, 3), np.float32)
    first = DiagonalGaussian(jnp.zeros(2), jnp.zeros(2))
    wide = Markov(first, lambda t, z: DiagonalGaussian(jnp.zeros(3), jnp.zeros(3)), 8)
    with pytest.raises(ValueError, match=r"states of shape \(2,\), then \(3,\), at 8 steps"):
        particle_filter(KEY, linear, x, wide, num_particles=5)
    x[4, 1] = np.nan
    with pytest.raises(ValueError, match="frame 4 of x is NaN in part"):
        particle_filter(KEY, linear, x, num_particles=5)
    with pytest.raises(ValueError, match="frame 4 of x is NaN in part"):
        exact(linear.joint(8)).log_marginal(x[None])


def test_x_outside_the_support_is_refused():
    """A log density would give it a number for p(x), and a high one."""
    steps = StateSpace(
        DiagonalGaussian(jnp.zeros(4), jnp.zeros(4)),
        Partial(lambda t, z: DiagonalGaussian(z, jnp.zeros(4))),
        Partial(lambda t, z: Bernoulli(z)),
    )
    x = np.zeros((6, 4), np.float32)
    x[2, 1] = 255.0
    for function, settings in ((particle_filter, {}), (forecast, {"num_steps": 2})):
        with pytest.raises(ValueError, match="Bernoulli is over values 0 and 1; got values from 0"):
            function(KEY, steps, x, num_particles=10, **settings)


def test_what_is_behind_a_length_is_not_looked_at():
    x, given, _ = case("padded")
    odd = np.array(x)
    odd[6], odd[7, 0], odd[8] = np.nan, np.nan, np.inf
    linear, settings = model(given["actions"]), {"num_particles": 20, "length": 6}
    for function, more in ((particle_filter, {}), (forecast, {"num_steps": 2})):
        first, second = (
            jax.tree.leaves(function(KEY, linear, v, **settings, **more)) for v in (x, odd)
        )
        jax.tree.map(np.testing.assert_array_equal, first, second)
    found = exact(linear.joint(6, 10))
    np.testing.assert_array_equal(*(found.log_marginal(v[None])[0] for v in (np.array(x), odd)))
    estimates = log_marginal_likelihood(KEY, linear.joint(6, 10), odd[None])
    np.testing.assert_allclose(estimates.value, found.log_marginal(np.array(x)[None])[0])


def test_an_estimate_is_flagged_by_the_error_that_is_printed():
    """An interval is stated by that of the steps."""

    def one(std_error, of_steps):
        return Estimates(
            value=np.array([-3.0]),
            std_error=np.array([std_error]),
            ess=np.array([9.0]),
            khat=np.array([0.1]),
            diagnostics={"steps_std_error": np.array([of_steps])},
            method="",
        )

    lucky, spread, both = one(0.4, 0.1), one(0.7, 0.1), one(0.7, 0.6)
    assert [list(e.flags()) for e in (lucky, spread, both)] == [
        [],
        *[["standard error above 0.5 nats"]] * 2,
    ]
    assert [bool(np.isfinite(e.interval()[1])[0]) for e in (lucky, spread, both)] == [
        True,
        True,
        False,
    ]
