"""Encoder-only updates before each step, against steps written by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.pairs import digits_pair, elbo_objective, grey_digits
from tests.training.test_loop import assert_same_bits, last
from vaejax import Example
from vaejax.training import (
    Train,
    Trainer,
    encoder_first,
    init_state,
    loss_of,
    make_steps,
    objective_terms,
)
from vaejax.training.checkpoint import Checkpoints

SETTINGS = Train(epochs=4, batch_size=16, validations=4)
FIRST = functools.partial(
    encoder_first,
    encoder_optimizer=SETTINGS.optimizer(64, updates_per_step=3),
    encoder_steps=3,
    first_steps=8,
)
XS = np.random.RandomState(0).randint(0, 2, (40, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def trainer():
    return Trainer(*digits_pair(), elbo_objective, grey_digits(), SETTINGS, make_update=FIRST)


def state_and_steps(key, optimizer, encoder_optimizer, encoder_steps, first_steps=100):
    pair = digits_pair()
    update = encoder_first(
        loss_of(objective_terms(*pair, elbo_objective)),
        optimizer,
        encoder_optimizer,
        encoder_steps=encoder_steps,
        first_steps=first_steps,
    )
    steps = make_steps(update, lambda key, stored: Example(stored))
    return init_state(key, *pair, update), jax.jit(steps)


def test_encoder_steps_leave_the_decoder_bit_for_bit():
    """With a step of size 0 for the pair, all that moves is what the encoder-only steps move."""
    state, steps = state_and_steps(jax.random.key(2), optax.sgd(0.0), optax.adam(1e-2), 3)
    after, _ = steps(state, jnp.arange(16).reshape(2, 8), XS)
    assert_same_bits(after.params.generative, state.params.generative)
    moved = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), after.params.inference, state.params.inference
    )
    assert min(jax.tree.leaves(moved["network"])) > 1e-3
    assert int(after.update[1][0].count) == 6


def test_encoder_steps_are_gradient_ascent_in_the_encoder_on_batches_of_their_own():
    """One step with two encoder updates, written out; then the pair's own update at the same
    batch and noise as without them."""
    model, q = digits_pair()
    state, steps = state_and_steps(jax.random.key(3), optax.sgd(0.1), optax.sgd(0.2), 2)
    indices = jnp.arange(8)
    after, _ = steps(state, indices[None], XS)

    @jax.jit
    @jax.grad
    def gradient_of(params, key, xs):
        joint = model.joint(params.generative)
        keys = jax.random.split(key, len(xs))
        terms = [
            elbo_objective(k, q.posterior(params.inference, x, joint), joint, x, 0).value
            for k, x in zip(keys, xs, strict=True)
        ]
        return sum(terms) / len(terms)

    noise = jax.random.fold_in(jax.random.split(state.key, 3)[1], 0)
    encoder_key, usual_key = jax.random.split(jax.random.split(noise)[1])
    params, drawn = state.params, []
    for index in range(2):
        batch_key, objective_key = jax.random.split(jax.random.fold_in(encoder_key, index))
        index_key = jax.random.split(batch_key)[0]
        drawn.append(jax.random.randint(index_key, (8,), 0, 40))
        gradient = gradient_of(params, objective_key, XS[drawn[-1]]).inference
        phi = jax.tree.map(lambda p, g: p + 0.2 * g, params.inference, gradient)
        params = params._replace(inference=phi)
    gradient = gradient_of(params, usual_key, XS[indices])
    params = jax.tree.map(lambda p, g: p + 0.1 * g, params, gradient)
    for new, wanted in zip(jax.tree.leaves(after.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(new, wanted, atol=1e-5)
    assert (drawn[0] != drawn[1]).any() and max(map(max, drawn)) >= 8


def test_they_are_made_in_the_first_epochs_alone(trainer):
    """Four steps an epoch: 2 x 4 x 3 updates, then none."""
    counts = []
    for report in trainer.run(*trainer.start([jax.random.key(0)])):
        counts.append((report.step, int(report.states.update[1][0].count[0])))
    assert dict(counts)[8] == dict(counts)[16] == 24
    assert dict(counts)[4] == 12


def test_each_update_has_its_steps_learning_rate():
    """Two updates by Adam at steps 0 and 1: the same count, the same rate."""
    optimizer = Train(epochs=1, batch_size=1).optimizer(10, updates_per_step=5)
    state, parameter, rates = optimizer.init(jnp.zeros(())), jnp.zeros(()), []
    for _ in range(50):
        update, state = optimizer.update(jnp.ones(()), state, parameter)
        rates.append(-float(update))  # Adam's update for a constant gradient is the rate
    wanted = [1e-3 * 0.5 * (1 + np.cos(np.pi * (i // 5) / 10)) for i in range(50)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-4)


@pytest.mark.compiled_as_users
def test_going_on_from_a_checkpoint_gives_the_same_bits(trainer, tmp_path, monkeypatch):
    start = trainer.start([jax.random.key(0)])
    whole = last(trainer.run(*start))
    monkeypatch.setattr(trainer, "steps_per_call", lambda num_seeds: 1)
    reports = trainer.run(*start)
    for _ in range(7):  # in the second aggressive epoch, which has one step left
        report = next(reports)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(*jax.tree.map(lambda leaf: leaf[0], (report.states, report.best)))
    monkeypatch.undo()
    shapes = jax.tree.map(lambda leaf: leaf[0], start)
    restored = jax.tree.map(lambda leaf: leaf[None], checkpoints.restore(*shapes))
    resumed = last(trainer.run(*restored))
    assert_same_bits((resumed.states, resumed.best), (whole.states, whole.best))


def test_seeds_together_are_the_seeds_alone(trainer):
    together = last(trainer.run(*trainer.start([jax.random.key(s) for s in (0, 1)])))
    alone = last(trainer.run(*trainer.start([jax.random.key(1)])))
    for x, y in zip(
        jax.tree.leaves(together.states.params), jax.tree.leaves(alone.states.params), strict=True
    ):
        np.testing.assert_allclose(x[1], y[0], atol=1e-4)


@pytest.mark.parametrize("counts", [(0, 1), (1, 0)])
def test_none_at_all_is_refused(counts):
    with pytest.raises(ValueError, match="_steps must be a whole number, at least 1; got 0"):
        state_and_steps(jax.random.key(0), optax.sgd(0.1), optax.sgd(0.1), *counts)
