"""What is trained here compiles for accelerators that are not here: lowered, not run."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vaejax
from tests.pairs import digits_pair
from vaejax import experiment
from vaejax.data import Dataset
from vaejax.data.sequences import SequenceDataset
from vaejax.experiment import SequenceConfig
from vaejax.marginal_likelihood import annealed_importance_sampling, importance_sampling
from vaejax.types import Conditions, Example, Params, bind, rows_of

ACCELERATORS = ["cuda", "tpu"]
FOLDER = Path(__file__).parents[2] / "experiments"
MADE = ("lds", "pendulum", "switching")  # without a download
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if "def build(" in path.read_text())


def tiny(config):
    """The configuration with narrow layers and few steps, and data of its kind."""
    if isinstance(config, SequenceConfig):
        return tiny_sequences(config)
    model = dataclasses.replace(config.model, hidden=(6,))
    if hasattr(model, "latent_dim"):
        model = dataclasses.replace(model, latent_dim=2)
    train = dataclasses.replace(config.train, epochs=4, batch_size=8)
    changed = {"model": model, "train": train}
    if hasattr(config, "encoder_hidden") and config.encoder_hidden is not None:
        changed["encoder_hidden"] = (6,)
    if hasattr(config, "learning"):  # of a mixture
        changed["learning"] = dataclasses.replace(config.learning, warmup_epochs=2)
    if getattr(config.model, "likelihood", "") == "gaussian":
        x = np.random.RandomState(0).randn(48, 2).astype(np.float32)
        real = Dataset("tiny", x[:32], x[32:40], x[40:], None, "none")
        return dataclasses.replace(config, **changed), real
    shape = (28, 28) if "mnist" in config.data.name else (8, 8)
    grey = np.random.RandomState(0).randint(0, 17, (48, *shape)).astype(np.uint8)
    binary = "binarized" in config.data.name
    stored, levels = ((grey > 8).astype(np.uint8), 1) if binary else (grey, 16)
    kind = config.data.binarization or ("static" if binary else "dynamic")
    splits = stored[:32], stored[32:40], stored[40:]
    return dataclasses.replace(config, **changed), Dataset("tiny", *splits, levels, kind)


def tiny_sequences(config):
    """The same of sequences: five frames, with actions where the experiment's data have them."""
    kind = vaejax.data.load(config.data.name).summary if config.data.name in MADE else None
    narrow = {"transition_hidden": 4, "recurrent_hidden": 4, "latent_dim": 2}
    widths = {name: size for name, size in narrow.items() if hasattr(config.model, name)}
    for name in ("emission_hidden", "recognition_hidden"):
        if getattr(config.model, name, ()):
            widths[name] = (4,)
    train = dataclasses.replace(config.train, epochs=4, steps=None, batch_size=8)
    changed = {"model": dataclasses.replace(config.model, **widths), "train": train}
    random, binary = np.random.RandomState(0), kind is None or kind.support == "binary"
    frame = (88,) if kind is None else kind.shape[1:]
    x = random.binomial(1, 0.5, (48, 5, *frame)).astype(np.uint8)
    x = x if binary else random.randn(*x.shape).astype(np.float32)
    num_actions = 0 if kind is None else kind.sequence.num_actions
    actions = random.randn(48, 5, num_actions).astype(np.float32) if num_actions else ()
    every = Conditions(np.arange(5) < random.randint(2, 6, 48)[:, None], actions)
    parts = {"train": slice(32), "validation": slice(32, 40), "test": slice(40, None)}
    dataset = SequenceDataset(
        "tiny",
        *(x[rows] for rows in parts.values()),
        1 if binary else None,
        "static" if binary else "none",
        given={name: rows_of(every, rows) for name, rows in parts.items()},
    )
    return dataclasses.replace(config, **changed), dataset


@pytest.mark.parametrize("name", NAMES)
def test_the_step_of_every_experiment_lowers(name):
    file = experiment.load(FOLDER / f"{name}.py")
    config, dataset = tiny(file.config)
    trainer = file.build(config, dataset).trainer(dataset, config.train)
    states, _ = jax.eval_shape(lambda: trainer.start([jax.random.key(0)]))
    indices = jax.ShapeDtypeStruct((1, 2, 8), jnp.int32)
    lowered = jax.export.export(trainer.steps, platforms=ACCELERATORS)(
        states, indices, trainer.data
    )
    assert lowered.platforms == tuple(ACCELERATORS)


@pytest.mark.parametrize("estimator", [importance_sampling, annealed_importance_sampling])
def test_the_estimators_lower(estimator):
    pair = digits_pair()
    params = Params(pair[0].init(jax.random.key(0)), pair[1].init(jax.random.key(1)))

    def estimate(key, params, x):
        joint, q, x = bind(*pair, params, Example(x))
        if estimator is importance_sampling:
            return importance_sampling(key, joint, x, q, num_samples=100)
        return annealed_importance_sampling(key, joint, x, q, num_chains=4, num_temperatures=10)

    lowered = jax.export.export(jax.jit(estimate), platforms=ACCELERATORS)(
        jax.random.key(0), params, jnp.zeros((8, 8))
    )
    assert lowered.platforms == tuple(ACCELERATORS)
