"""What an inference network of sequences sees, and that padding is nothing to it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax import generative, inference, networks
from vaejax.distributions import Bernoulli, kl_form, sample_and_kl
from vaejax.objectives import elbo, fivo, iwae
from vaejax.types import Conditions, Example, Params, bind

T, D, LATENT = 7, 4, 3
RANDOM = np.random.default_rng(0)
X = RANDOM.binomial(1, 0.5, (T, D)).astype(np.float32)
ACTIONS = RANDOM.normal(size=(T, 2)).astype(np.float32)
LENGTH = 5
SEES = ("past", "future", "both", "both, without z")


def given(length=LENGTH):
    return Conditions(np.arange(T) < length, ACTIONS)


P = generative.state_space_model(
    LATENT, networks.GatedTransition(8), networks.MLP((8,), (D,)), Bernoulli, num_actions=2
)


def somewhere(init):
    """Parameters at random."""
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(lambda a: np.float32(0.5 * random.normal(size=a.shape)), shapes)


@functools.cache
def pair(sees, num_flows=0):
    q = inference.sequence_posterior(
        LATENT, networks.MLP((), (6,)), (D,), 5, sees=sees, num_flows=num_flows, num_actions=2
    )
    return P, q, Params(somewhere(P.init), somewhere(q.init))


@functools.partial(jax.jit, static_argnums=0)
def _steps_of(sees, x, actions):
    *model, params = pair(sees)
    _, q, _ = bind(*model, params, Example(x, Conditions(np.arange(T) < T, actions)))
    later = jax.vmap(lambda t: q.step(t, jnp.ones(LATENT)).loc)(jnp.arange(1, T))
    return jnp.concatenate([q.initial.loc[None], later])


def steps_of(sees, x, actions=ACTIONS):
    """The mean of each q(z_t | z_{t-1} = 1, x)."""
    pair(sees)  # its parameters, outside the program
    return np.asarray(_steps_of(sees, x, actions))


@pytest.mark.parametrize(
    "sees, until, since", [("past", 3, T), ("future", 0, 4), ("both", 0, T), (SEES[3], 0, T)]
)
def test_a_step_depends_on_what_it_sees(sees, until, since):
    """A change of frame 3, or of its action, changes the steps that see it and no other."""
    changed = X.copy()
    changed[3] = 1 - changed[3]
    actions = ACTIONS.copy()
    actions[3] += 1.0
    for other in (steps_of(sees, changed), steps_of(sees, X, actions)):
        moved = np.abs(other - steps_of(sees, X)).max(axis=1) > 1e-6
        expected = (np.arange(T) >= until) & (np.arange(T) < since)
        np.testing.assert_array_equal(moved, expected)


def test_without_z_the_steps_are_independent():
    *model, params = pair(SEES[3])
    loc = jax.jit(lambda z: bind(*model, params, Example(X, given()))[1].step(2, z).loc)
    np.testing.assert_array_equal(loc(np.ones(LATENT)), loc(np.zeros(LATENT)))


@pytest.mark.parametrize("sees, num_flows", [("past", 0), ("future", 2), ("both", 0), (SEES[3], 0)])
def test_twice_the_room_changes_no_number(sees, num_flows):
    *model, params = pair(sees, num_flows)

    @jax.jit
    def bounds(example):
        joint, q, x = bind(*model, params, example)
        key = jax.random.key(2)
        values = elbo(key, q, joint, x), iwae(key, q, joint, x, num_samples=3)
        return *(v.value for v in values), fivo(key, q, joint, x, num_particles=4).value

    short = Example(X, given())
    junk = jax.tree.map(lambda leaf: np.ones((T, *leaf.shape[1:]), leaf.dtype), short)
    junk = junk._replace(given=junk.given._replace(exists=np.zeros(T, bool)))
    long = jax.tree.map(lambda a, b: np.concatenate([a, b]), short, junk)
    np.testing.assert_allclose(bounds(long), bounds(short), rtol=1e-6)


def test_a_missing_frame_has_no_value():
    """Whatever stood there: NaN and 0 with a mark are alike, and differ from a frame of zeros."""
    missing, zeros = X.copy(), X.copy()
    missing[2], zeros[2] = np.nan, 0.0
    found = steps_of("both", missing)
    assert np.isfinite(found).all()
    assert np.abs(found - steps_of("both", zeros)).max() > 1e-3


def test_the_kl_of_each_step_is_the_closed_form_given_the_draw_before():
    *model, params = pair("future")
    joint, q, _ = jax.jit(functools.partial(bind, *model))(params, Example(X, given()))
    assert kl_form(q, joint.prior) == "step by step (closed form at the first)"
    z, kl = jax.jit(sample_and_kl)(jax.random.key(3), q, joint.prior)

    @jax.jit
    def kl_of_step(t, before):
        return q.step(t, before).kl_divergence(joint.prior.step(t, before))

    by_hand = q.initial.kl_divergence(joint.prior.initial)
    by_hand += sum(kl_of_step(t, z[t - 1]) for t in range(1, LENGTH))
    np.testing.assert_allclose(kl, by_hand, rtol=1e-5)


def test_a_flow_on_each_step_has_the_density_of_its_draws():
    *model, params = pair("future", 2)

    @jax.jit
    def of_a_step(params):
        _, q, _ = bind(*model, params, Example(X, given()))
        step = q.step(1, jnp.ones(LATENT))
        z, log_q = step.sample_and_log_prob(seed=jax.random.key(4))
        forward = step._forward_and_log_det
        jacobian = jax.jacobian(lambda e: forward(e)[0])(jnp.zeros(LATENT))
        return step.log_prob(z), log_q, forward(jnp.zeros(LATENT))[1], jacobian

    again, log_q, log_det, jacobian = of_a_step(params)
    np.testing.assert_allclose(again, log_q, rtol=1e-4)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=1e-4)


def test_an_unknown_view_is_refused():
    with pytest.raises(ValueError, match="sees must be one of past, future, both"):
        inference.sequence_posterior(2, None, (3,), 4, sees="all")


def test_what_a_sequence_is_given_has_its_shape():
    p, _, params = pair("past")
    with pytest.raises(ValueError, match="a sequence is given Conditions"):
        p.joint(params.generative)
    with pytest.raises(ValueError, match=r"actions of shape \(7, 2\), one for each of the 7 steps"):
        p.joint(params.generative, Conditions(np.ones(T, bool), ACTIONS[:5]))
    with pytest.raises(ValueError, match=r"actions of shape \(7, 2\)"):
        p.joint(params.generative, Conditions(np.ones(T, bool)))
