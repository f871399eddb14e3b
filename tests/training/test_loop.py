"""The loop's promises: the same bits however it is cut, seeds and devices that do not matter."""

import dataclasses
import shutil
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from tests.pairs import digits_pair, elbo_objective, grey_digits
from vaejax import distributions, generative, networks
from vaejax.errors import UserError
from vaejax.training import NonFiniteLoss, Train, Trainer
from vaejax.training.checkpoint import Checkpoints

SETTINGS = Train(epochs=4, batch_size=16, validations=4)


@pytest.fixture(scope="module")
def trainer():
    return Trainer(*digits_pair(), elbo_objective, grey_digits(), SETTINGS)


def test_a_decoder_of_another_shape_than_the_data_is_refused():
    """Its density would broadcast, and every number be wrong without a word."""
    _, q = digits_pair()
    narrow = generative.latent_variable_model(
        distributions.standard_normal(2), networks.MLP((16,), (8, 1)), distributions.Bernoulli
    )
    with pytest.raises(UserError, match=r"p\(x \| z\) is over x of shape \(8, 1\).*\(8, 8\)"):
        Trainer(narrow, q, elbo_objective, grey_digits(), SETTINGS)


def test_grey_values_under_a_likelihood_of_binary_ones_are_refused():
    """Their density would be a number, and mean nothing."""
    grey = dataclasses.replace(grey_digits(), binarization="none")
    with pytest.raises(UserError, match=r"Bernoulli is over values 0 and 1; got values from 0 to"):
        Trainer(*digits_pair(), elbo_objective, grey, SETTINGS)


def last(reports):
    *_, report = reports
    return report


def leaves(tree):
    data = jax.tree.map(
        lambda a: (
            jax.random.key_data(a) if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key) else a
        ),
        tree,
    )
    return [np.asarray(leaf) for leaf in jax.tree.leaves(data)]


def assert_same_bits(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.compiled_as_users
def test_going_on_from_a_checkpoint_gives_the_same_bits(trainer, tmp_path, monkeypatch):
    start = trainer.start([jax.random.key(0)])
    whole = last(trainer.run(*start))

    # Stop within an epoch, of which one step is left: calls of one step instead of four.
    monkeypatch.setattr(trainer, "steps_per_call", lambda num_seeds: 1)
    reports = trainer.run(*start)
    for _ in range(7):
        report = next(reports)
    assert report.step == 7
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(*jax.tree.map(lambda leaf: leaf[0], (report.states, report.best)))
    monkeypatch.undo()

    shapes = jax.tree.map(lambda leaf: leaf[0], start)
    restored = jax.tree.map(lambda leaf: leaf[None], checkpoints.restore(*shapes))
    resumed = last(trainer.run(*restored))
    assert resumed.step == whole.step == 16
    assert_same_bits((resumed.states, resumed.best), (whole.states, whole.best))


def test_seeds_together_are_the_seeds_alone(trainer):
    """Stated tolerance: 1e-4 of a parameter after 16 steps (the matmuls are batched otherwise)."""
    together = last(trainer.run(*trainer.start([jax.random.key(s) for s in (0, 1, 2)])))
    for i, seed in enumerate((0, 1, 2)):
        alone = last(trainer.run(*trainer.start([jax.random.key(seed)])))
        for x, y in zip(
            jax.tree.leaves(together.states.params),
            jax.tree.leaves(alone.states.params),
            strict=True,
        ):
            np.testing.assert_allclose(x[i], y[0], atol=1e-4)
        np.testing.assert_allclose(together.validation[i], alone.validation[0], rtol=1e-4)
    first, second = (np.asarray(together.terms.value)[i] for i in (0, 1))
    assert (first != second).all()


@pytest.mark.compiled_as_users
def test_what_is_best_does_not_depend_on_the_calls(trainer, monkeypatch):
    """Validations at the same steps, whether a call makes one step or an epoch's four."""
    start = trainer.start([jax.random.key(0)])

    def validations():
        return [(r.step, float(r.validation[0])) for r in trainer.run(*start) if r.validation]

    whole = validations()
    monkeypatch.setattr(trainer, "steps_per_call", lambda num_seeds: 1)
    assert validations() == whole
    assert [step for step, _ in whole] == [4, 8, 12, 16]


def test_broken_parameters_are_not_reported(trainer, monkeypatch):
    """An update that is not finite ends the run even where the loss before it was."""
    compiled, _ = trainer.steps, trainer.flops_per_step  # which asks `steps` itself

    def broken(*arguments):
        states, terms = compiled(*arguments)
        return states._replace(params=jax.tree.map(lambda a: a * np.nan, states.params)), terms

    monkeypatch.setattr(trainer, "steps", broken)
    with pytest.raises(NonFiniteLoss, match="at step 3"):
        next(trainer.run(*trainer.start([jax.random.key(0)])))


def test_best_is_the_highest_validation(trainer):
    seen, reports = [], trainer.run(*trainer.start([jax.random.key(5)]))
    for report in reports:
        if report.validation is not None:
            seen.append((report.validation[0], report.step, leaves(report.states.params)))
    assert len(seen) == 4
    value, step, params = max(seen, key=lambda entry: entry[0])
    np.testing.assert_allclose(report.best.value[0], value, rtol=1e-6)
    assert int(report.best.step[0]) == step
    for kept, wanted in zip(leaves(report.best.params), params, strict=True):
        np.testing.assert_array_equal(kept, wanted)


def test_validation_is_the_mean_over_all_examples_even_when_batches_do_not_fit():
    """Against evaluating every example by itself."""
    pair, dataset = digits_pair(), grey_digits(n=32, validation=501)
    trainer = Trainer(*pair, elbo_objective, dataset, Train(epochs=1, batch_size=16, validations=1))
    report = last(trainer.run(*trainer.start([jax.random.key(0)])))
    model, q = pair
    params = jax.tree.map(lambda leaf: leaf[0], report.states.params)

    @jax.jit
    def one(key, x):
        joint = model.joint(params.generative)
        return elbo_objective(key, q.posterior(params.inference, x, joint), joint, x, 0).value

    run_key = report.states.key[0]
    xs = dataset.split("validation").astype(np.float32)
    key = jax.random.split(run_key, 3)[2]
    values = [float(one(jax.random.fold_in(key, i), x)) for i, x in enumerate(xs)]
    assert len(values) == 501
    np.testing.assert_allclose(report.validation[0], np.mean(values), rtol=1e-5)


def test_checkpoints_that_cannot_be_used(trainer, tmp_path):
    shapes = jax.tree.map(lambda leaf: leaf[0], trainer.start([jax.random.key(0)]))
    checkpoints = Checkpoints(tmp_path / "none")
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoints.restore(*shapes)

    foreign = Trainer(*digits_pair(width=9), elbo_objective, grey_digits(), SETTINGS)
    other = Checkpoints(tmp_path / "other")
    other.save(*jax.tree.map(lambda leaf: leaf[0], foreign.start([jax.random.key(0)])))
    with pytest.raises(UserError, match="belongs to another model"):
        other.restore(*shapes)

    damaged = Checkpoints(tmp_path / "damaged")
    damaged.save(*shapes)
    for file in (tmp_path / "damaged" / "0").rglob("*"):
        if file.is_file() and file.stat().st_size > 100:
            file.write_bytes(b"junk")
    with pytest.raises(UserError, match=r"no intact checkpoint: .*train from the start"):
        damaged.restore(*shapes)


def test_a_full_disk_leaves_the_last_checkpoint_whole(trainer, tmp_path, monkeypatch):
    start = jax.tree.map(lambda leaf: leaf[0], trainer.start([jax.random.key(0)]))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(*start)
    later = start[0]._replace(step=start[0].step + 1), start[1]
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match="no space left to save a checkpoint"):
        checkpoints.save(*later)
    assert [path.name for path in tmp_path.iterdir()] == ["0"]
    assert_same_bits(checkpoints.restore(*start), start)
