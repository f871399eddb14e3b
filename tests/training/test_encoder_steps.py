"""Aggressive encoder updates and a corrupted encoder input, against steps written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.pairs import digits_pair, elbo_objective, grey_digits
from tests.training.test_loop import assert_same_bits, last
from vaejax.errors import UserError
from vaejax.objectives import Terms
from vaejax.training import Train, Trainer, batch_terms, init_state, make_steps
from vaejax.training.checkpoint import Checkpoints
from vaejax.types import GenerativeModel, InferenceNetwork, Joint, Params

AGGRESSIVE = Train(epochs=4, batch_size=16, validations=4, encoder_steps=3, aggressive_epochs=2)
XS = np.random.RandomState(0).randint(0, 2, (40, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def trainer():
    return Trainer(*digits_pair(), elbo_objective, grey_digits(), AGGRESSIVE)


def steps_of(optimizer, **settings):
    """A state, and two steps of it."""
    pair = digits_pair()
    encoder = settings.get("encoder_optimizer")
    state = init_state(jax.random.key(2), *pair, optimizer, encoder)
    steps = make_steps(*pair, elbo_objective, optimizer, lambda key, raw: raw, **settings)
    return state, jax.jit(steps)(state, jnp.arange(16).reshape(2, 8), XS)


def test_encoder_steps_leave_the_decoder_bit_for_bit():
    """With a step of size 0 for the pair, all that moves is what the encoder-only steps move."""
    state, (after, _) = steps_of(
        optax.sgd(0.0), encoder_optimizer=optax.adam(1e-2), encoder_steps=3
    )
    assert_same_bits(after.params.generative, state.params.generative)
    moved = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), after.params.inference, state.params.inference
    )
    assert min(jax.tree.leaves(moved)) > 1e-3
    assert int(after.encoder_optimizer[0].count) == 6


def test_encoder_steps_are_gradient_ascent_in_the_encoder_on_batches_of_their_own():
    """One step with two encoder updates, written out; then the pair's own update at the same
    batch and noise as without them."""
    pair = model, q = digits_pair()
    optimizer, encoder = optax.sgd(0.1), optax.sgd(0.2)
    state = init_state(jax.random.key(3), *pair, optimizer, encoder)
    steps = make_steps(
        *pair,
        elbo_objective,
        optimizer,
        lambda key, raw: raw,
        encoder_optimizer=encoder,
        encoder_steps=2,
    )
    indices = jnp.arange(8)
    after, _ = jax.jit(steps)(state, indices[None], XS)

    @jax.jit
    @jax.grad
    def gradient_of(params, key, xs):
        joint = model.joint(params.generative)
        keys = jax.random.split(key, len(xs))
        terms = [
            elbo_objective(k, q.posterior(params.inference, x, joint.prior), joint, x, 0).value
            for k, x in zip(keys, xs, strict=True)
        ]
        return sum(terms) / len(terms)

    noise = jax.random.fold_in(jax.random.split(state.key, 3)[1], 0)
    params, drawn = state.params, []
    for key in jax.random.split(jax.random.fold_in(noise, 2), 2):
        index_key, _, objective_key = jax.random.split(key, 3)
        drawn.append(jax.random.randint(index_key, (8,), 0, 40))
        gradient = gradient_of(params, objective_key, XS[drawn[-1]]).inference
        phi = jax.tree.map(lambda p, g: p + 0.2 * g, params.inference, gradient)
        params = params._replace(inference=phi)
    gradient = gradient_of(params, jax.random.split(noise)[1], XS[indices])
    params = jax.tree.map(lambda p, g: p + 0.1 * g, params, gradient)
    for new, wanted in zip(jax.tree.leaves(after.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(new, wanted, atol=1e-5)
    assert (drawn[0] != drawn[1]).any() and max(map(max, drawn)) >= 8


def test_they_are_made_in_the_first_epochs_alone(trainer):
    """Four steps an epoch: 2 x 4 x 3 updates, then none."""
    counts = []
    for report in trainer.run(*trainer.start([jax.random.key(0)])):
        counts.append((report.step, int(report.states.encoder_optimizer[0].count[0])))
    assert dict(counts)[8] == dict(counts)[16] == 24
    assert dict(counts)[4] == 12


def test_each_update_has_its_steps_learning_rate():
    """Two updates by Adam at steps 0 and 1: the same count, the same rate."""
    settings = Train(epochs=1, batch_size=1, encoder_steps=5, aggressive_epochs=1)
    optimizer = settings.encoder_optimizer(10)
    state, parameter, rates = optimizer.init(jnp.zeros(())), jnp.zeros(()), []
    for _ in range(50):
        update, state = optimizer.update(jnp.ones(()), state, parameter)
        rates.append(-float(update))  # Adam's update for a constant gradient is the rate
    wanted = [1e-3 * 0.5 * (1 + np.cos(np.pi * (i // 5) / 10)) for i in range(50)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-4)


def test_going_on_from_a_checkpoint_gives_the_same_bits(trainer, tmp_path, monkeypatch):
    start = trainer.start([jax.random.key(0)])
    whole = last(trainer.run(*start))
    monkeypatch.setattr(trainer, "steps_per_call", lambda num_seeds: 1)
    reports = trainer.run(*start)
    for _ in range(6):  # in the middle of the second aggressive epoch
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


@pytest.mark.parametrize("settings", [{"encoder_steps": 2}, {"aggressive_epochs": 2}])
def test_one_without_the_other_is_refused(settings):
    with pytest.raises(UserError, match="go together"):
        Train(**settings)


def test_only_the_encoder_sees_what_is_corrupted():
    """A corruption that hides x: the step is that of an encoder that is given zeros, with x itself
    reconstructed."""
    pair = digits_pair()
    optimizer = optax.sgd(0.1)
    state = init_state(jax.random.key(3), *pair, optimizer)
    corrupted = make_steps(
        *pair,
        elbo_objective,
        optimizer,
        lambda key, raw: raw,
        corrupt=lambda key, x: jnp.zeros_like(x),
    )
    after, terms = jax.jit(corrupted)(state, jnp.arange(8)[None], XS)

    model, q = pair
    key = jax.random.split(jax.random.fold_in(jax.random.split(state.key, 3)[1], 0))[1]
    values = []
    for k, x in zip(jax.random.split(key, 8), XS, strict=False):
        joint = model.joint(state.params.generative)
        hidden = q.posterior(state.params.inference, jnp.zeros((8, 8)), joint.prior)
        values.append(elbo_objective(jax.random.split(k)[1], hidden, joint, x, 0).value)
    np.testing.assert_allclose(terms.value[0], np.mean(values), rtol=1e-5)
    kernel = "params", "Dense_0", "kernel"  # the gradient of weights on an input of zeros
    before, now = state.params.inference, after.params.inference
    for name in kernel:
        before, now = before[name], now[name]
    np.testing.assert_array_equal(before, now)


def test_each_example_is_corrupted_by_a_key_of_its_own():
    """Noise on x, seen through an objective that returns what the encoder was given."""
    model = GenerativeModel(lambda key: (), lambda theta: Joint(None, None))
    q = InferenceNetwork(lambda key: (), None, lambda phi, x, prior: x)
    terms = batch_terms(
        model,
        q,
        lambda key, q, joint, x, step: Terms(q - x, x, x),
        lambda key, x: x + 0.3 * jax.random.normal(key, x.shape),
    )
    noise = terms(Params((), ()), jax.random.key(0), jnp.ones((20, 8, 8)), 0).value
    assert abs(float(np.std(noise)) - 0.3) < 0.02
    assert len(np.unique(np.asarray(noise)[:, 0, 0])) == 20


def test_validation_sees_the_clean_x():
    """Whatever is corrupted in training, at the same parameters the validation is the same."""
    settings = Train(epochs=1, batch_size=16, validations=1, learning_rate=1e-30)
    values = []
    for corrupt in (None, lambda key, x: 1 - x):
        trainer = Trainer(*digits_pair(), elbo_objective, grey_digits(), settings, corrupt=corrupt)
        report = last(trainer.run(*trainer.start([jax.random.key(0)])))
        values.append((report.terms.value[0, 0], report.validation[0]))
    assert values[0][1] == values[1][1]
    assert values[0][0] != values[1][0]
