"""MADE in one order, several orders and several masks against sums over all 2^d x."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vaejax
from tests.pairs import elbo_objective, linear_gaussian
from vaejax import GenerativeModel, Joint, inference, objectives
from vaejax.distributions import Autoregressive, DiagonalGaussian, Empty
from vaejax.generative import masked_autoencoder
from vaejax.networks import MaskedMLP, draw_masks

D = 6
ALL = np.array(list(itertools.product([0.0, 1.0], repeat=D)), np.float32).reshape(-1, 2, 3)
HIDDEN = (12, 9)
KINDS = {
    "one order": (None, None),
    "another order": ((3, 0, 5, 4, 2, 1), None),
    "several orders": (None, draw_masks(0, D, HIDDEN, num_orders=3)),
    "several masks": (None, draw_masks(0, D, HIDDEN, num_masks=3)),
    "orders and masks": (None, draw_masks(1, D, HIDDEN, num_orders=2, num_masks=2)),
}
DRAWS = 4000


def model_of(kind):
    order, masks = KINDS[kind]
    network = MaskedMLP(HIDDEN, (D,), order, direct=True, output_bias=0.3)
    return masked_autoencoder(network, (2, 3), masks)


@functools.cache
def density(kind):
    """With weights at random, large enough for every dependence to be strong."""
    model, random = model_of(kind), np.random.default_rng(1)
    theta = jax.tree.map(
        lambda w: np.asarray(w) + random.normal(size=w.shape).astype(np.float32),
        jax.jit(model.init)(jax.random.key(0)),
    )
    return model.joint(theta).likelihood(())


@functools.cache
def log_prob_of(kind):
    """log p(x), compiled for ALL x and for one."""
    return jax.jit(density(kind).log_prob)


def probabilities(kind):
    """Of ALL x."""
    return np.exp(np.float64(log_prob_of(kind)(ALL)))


def agree(xs, probability):
    """Pearson's chi-squared of draws against the probabilities of ALL, within 5 sd of its mean."""
    codes = np.asarray(xs).reshape(len(xs), -1) @ 2 ** np.arange(D)[::-1]
    counts = np.bincount(codes.astype(int), minlength=len(ALL))
    assert counts[probability == 0].sum() == 0
    expected = len(xs) * probability / probability.sum()
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    counts, expected = counts[expected > 0], expected[expected > 0]
    chi2 = np.sum((counts - expected) ** 2 / expected)
    freedom = len(counts) - 1
    assert freedom >= 3
    assert chi2 < freedom + 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_all_x_sum_to_one(kind):
    log_prob = np.float64(log_prob_of(kind)(ALL))
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)
    assert np.ptp(log_prob) > 3
    np.testing.assert_allclose(log_prob_of(kind)(ALL[5]), log_prob[5], rtol=1e-5)


@pytest.mark.parametrize("kind", ["several orders", "several masks"])
def test_the_mixture_is_the_mean_of_different_members(kind):
    p = density(kind)
    of_member = jax.jit(lambda m: p.member(m).log_prob(ALL))
    members = np.exp([np.float64(of_member(m)) for m in range(p.num_members)])
    np.testing.assert_allclose(members.sum(axis=1), 1.0, rtol=1e-5)
    assert np.abs(members[0] - members[1]).max() > 0.01
    np.testing.assert_allclose(probabilities(kind), members.mean(axis=0), rtol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_frequencies_of_samples_are_the_probabilities(kind):
    p = density(kind)
    xs = jax.jit(lambda key: p.sample(seed=key, sample_shape=(DRAWS,)))(jax.random.key(2))
    agree(xs, probabilities(kind))


@pytest.mark.parametrize("kind", ["one order", "another order", "several masks"])
def test_frequencies_of_completions_are_the_conditional_probabilities(kind):
    """Against p(x) of all x that agree with the known elements, normalized over them. Of several
    masks the member has to be drawn by its probability of what is known."""
    p, x, num_known = density(kind), ALL[37], 2
    known = np.asarray(p.first(num_known))
    order = KINDS[kind][0] or range(D)
    assert set(np.flatnonzero(known)) == set(list(order)[:num_known])
    possible = np.all(ALL[:, known] == x[known], axis=1)
    probability = probabilities(kind) * possible
    keys = jax.random.split(jax.random.key(3), DRAWS)
    unseen = np.where(known, x, np.float32(7.0))  # what is to be drawn does not enter
    complete = jax.jit(lambda keys: jax.lax.map(lambda k: p.complete(k, unseen, num_known), keys))
    agree(complete(keys), probability)


def test_orders_that_begin_elsewhere_have_no_exact_completion():
    with pytest.raises(ValueError, match="the first 2 elements are not the same in all orders"):
        density("several orders").complete(jax.random.key(0), ALL[0], 2)


def test_the_probability_of_a_beginning_is_a_marginal():
    p, x = density("another order"), ALL[37]
    for num in range(D + 1):
        known = np.asarray(p.first(num))
        agreeing = np.all(ALL[:, known] == x[known], axis=1)
        marginal = probabilities("another order")[agreeing].sum()
        np.testing.assert_allclose(np.exp(p.log_prob_first(x, num)), marginal, rtol=1e-4)


def test_one_member_is_a_lower_bound_in_expectation():
    """Its mean over keys is that over members: below the mixture's log p(x), by Jensen."""
    p, x = density("several orders"), ALL[11]
    of_member = jax.jit(lambda m: p.member(m).log_prob(x))
    values = [float(of_member(m)) for m in range(3)]
    keys = jax.random.split(jax.random.key(4), 2000)
    joint = Joint(Empty(), lambda z: p)
    one = jax.jit(jax.vmap(lambda key: objectives.one_member(key, Empty(), joint, x).value))
    drawn = np.asarray(one(keys))
    assert set(np.round(drawn, 3)) == set(np.round(np.float32(values), 3))
    assert abs(drawn.mean() - np.mean(values)) < 4 * drawn.std() / 2000**0.5
    assert np.mean(values) < log_prob_of("several orders")(x)


def test_degrees_and_orders_are_drawn_as_masks_need_them():
    masks = draw_masks(0, D, (50, 40), num_orders=3, num_masks=2)
    assert masks.orders.shape == (6, D)
    np.testing.assert_array_equal(masks.orders[:2], [range(D)] * 2)
    assert (np.sort(masks.orders, axis=1) == np.arange(D)).all()
    assert len(np.unique(masks.orders, axis=0)) == 3
    first, second = masks.degrees
    assert first.shape == (6, 50)
    assert first.min() == 0
    assert (second.min(axis=1) >= first.min(axis=1)).all()
    assert max(first.max(), second.max()) == D - 2
    with pytest.raises(ValueError, match="num_masks must be a whole number, at least 1"):
        draw_masks(0, D, (4,), num_masks=0)


def test_training_reaches_the_maximum_likelihood_of_a_table():
    """Of two elements logits c_1 and c_2 + a x_1 hold every table, so the best log p(x) is minus
    the entropy of the data's own frequencies."""
    counts = np.array([40, 10, 20, 30])
    xs = np.repeat(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), counts, axis=0)
    best = np.sum(counts * np.log(counts / 100)) / 100
    model = masked_autoencoder(MaskedMLP((), (2,)), (2,))
    params, trace = vaejax.fit(
        jax.random.key(0),
        model,
        inference.no_latent(),
        elbo_objective,
        xs,
        num_steps=600,
        optimizer=optax.adam(optax.cosine_decay_schedule(0.1, 600)),
    )
    assert params.inference == ()
    p = model.joint(params.generative).likelihood(())
    np.testing.assert_allclose(np.exp(p.log_prob(xs[[0, 40, 50, 70]])), counts / 100, atol=1e-3)
    assert trace[-1] == pytest.approx(best, abs=1e-4)
    assert trace[0] < best - 0.05


def test_a_latent_model_without_a_q_is_refused():
    model, _ = linear_gaussian(np.ones((4, 1)), 1.0)
    pair = model, inference.no_latent()
    with pytest.raises(ValueError, match=r"fit: q\(z \| x\) draws z of no z; the prior p\(z\)"):
        vaejax.fit(jax.random.key(0), *pair, elbo_objective, np.ones((100, 4)), num_steps=1)


def test_any_density_is_trained():
    """Nothing in the loop asks for an autoregressive one: N(mean, 1) finds the data's mean."""
    model = GenerativeModel(
        lambda key: jnp.zeros(3),
        lambda mean, given: Joint(Empty(), lambda z: DiagonalGaussian(mean, jnp.zeros(3))),
    )
    xs = np.random.default_rng(0).normal([1, 2, 3], size=(100, 3)).astype(np.float32)
    pair, optimizer = (model, inference.no_latent()), optax.sgd(0.1)
    params, _ = vaejax.fit(
        jax.random.key(0), *pair, elbo_objective, xs, num_steps=300, optimizer=optimizer
    )
    np.testing.assert_allclose(params.generative, xs.mean(axis=0), atol=1e-3)


def test_a_natural_order_is_the_default_of_completion():
    p = Autoregressive(lambda x: jnp.zeros(3), (3,))
    np.testing.assert_array_equal(p.first(2), [True, True, False])
