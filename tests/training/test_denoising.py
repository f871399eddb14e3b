"""Training in which the encoder's input is corrupted, against a step written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.pairs import digits_pair, elbo_objective, grey_digits
from tests.training.test_loop import last
from vaejax.errors import UserError
from vaejax.experiment import Experiment
from vaejax.objectives import Terms
from vaejax.training import (
    Train,
    Trainer,
    denoising_terms,
    gradient_update,
    init_state,
    loss_of,
    make_steps,
)
from vaejax.training.terms import over_batch
from vaejax.types import Example, GenerativeModel, InferenceNetwork, Joint, Params

XS = np.random.RandomState(0).randint(0, 2, (40, 8, 8)).astype(np.float32)


def test_only_the_encoder_sees_what_is_corrupted():
    """A corruption that hides x: the step is that of an encoder that is given zeros, with x itself
    reconstructed."""
    model, q = pair = digits_pair()
    hide = denoising_terms(*pair, elbo_objective, lambda key, x: jnp.zeros_like(x))
    update = gradient_update(loss_of(hide), optax.sgd(0.1))
    state = init_state(jax.random.key(3), *pair, update)
    steps = make_steps(update, lambda key, stored: Example(stored))
    after, (terms, _) = jax.jit(steps)(state, jnp.arange(8)[None], XS)

    key = jax.random.split(jax.random.fold_in(jax.random.split(state.key, 3)[1], 0))[1]

    @jax.jit
    def value_of(k, x):
        joint = model.joint(state.params.generative)
        hidden = q.posterior(state.params.inference, jnp.zeros((8, 8)), joint)
        return elbo_objective(jax.random.split(k)[1], hidden, joint, x, 0).value

    values = [value_of(k, x) for k, x in zip(jax.random.split(key, 8), XS, strict=False)]
    np.testing.assert_allclose(terms.value[0], np.mean(values), rtol=1e-5)
    kernel = (
        "network",
        "params",
        "Dense_0",
        "kernel",
    )  # the gradient of weights on an input of zeros
    before, now = state.params.inference, after.params.inference
    for name in kernel:
        before, now = before[name], now[name]
    np.testing.assert_array_equal(before, now)


def test_each_example_is_corrupted_by_a_key_of_its_own():
    """Noise on x, seen through an objective that returns what the encoder was given."""
    terms = over_batch(
        denoising_terms(
            GenerativeModel(lambda key: (), lambda theta, given: Joint(None, None)),
            InferenceNetwork(lambda key: (), lambda phi, x, joint, given: x),
            lambda key, q, joint, x, step: Terms(q - x, {}),
            lambda key, x: x + 0.3 * jax.random.normal(key, x.shape),
        )
    )
    noise = terms(Params((), ()), jax.random.key(0), Example(jnp.ones((20, 8, 8))), 0).value
    assert abs(float(np.std(noise)) - 0.3) < 0.02
    assert len(np.unique(np.asarray(noise)[:, 0, 0])) == 20


def test_validation_sees_the_clean_x():
    """Whatever is corrupted in training, at the same parameters the validation is the same."""
    settings = Train(epochs=1, batch_size=16, validations=1, learning_rate=1e-30)
    values = []
    for corrupt in (None, lambda key, x: 1 - x):
        pair, terms_of = digits_pair(), None
        if corrupt is not None:
            terms_of = denoising_terms(*pair, elbo_objective, corrupt)
        trainer = Trainer(*pair, elbo_objective, grey_digits(), settings, terms_of=terms_of)
        report = last(trainer.run(*trainer.start([jax.random.key(0)])))
        values.append((report.terms.value[0, 0], report.validation[0]))
    assert values[0][1] == values[1][1]
    assert values[0][0] != values[1][0]


def test_noise_and_terms_of_its_own_exclude_each_other():
    """One of them would be left out in silence."""
    experiment = Experiment(*digits_pair(), elbo_objective, lambda key, x: x, terms_of=print)
    with pytest.raises(UserError, match="not both: give one of them"):
        experiment.trainer(grey_digits(), Train())
