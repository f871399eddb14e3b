"""What is trained here compiles for accelerators that are not here: lowered, not run."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.pairs import digits_pair
from vaejax import experiment
from vaejax.data import Dataset
from vaejax.marginal_likelihood import annealed_importance_sampling, importance_sampling
from vaejax.types import Example, Params, bind

ACCELERATORS = ["cuda", "tpu"]
FOLDER = Path(__file__).parents[2] / "experiments"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if "def build(" in path.read_text())


def tiny(config):
    """The configuration with narrow layers and few steps, and data of its kind."""
    model = dataclasses.replace(config.model, hidden=(6,))
    if hasattr(model, "latent_dim"):
        model = dataclasses.replace(model, latent_dim=2)
    train = dataclasses.replace(config.train, epochs=4, batch_size=8)
    changed = {"model": model, "train": train}
    if hasattr(config, "encoder_hidden") and config.encoder_hidden is not None:
        changed["encoder_hidden"] = (6,)
    shape = (28, 28) if "mnist" in config.data.name else (8, 8)
    grey = np.random.RandomState(0).randint(0, 17, (48, *shape)).astype(np.uint8)
    binary = "binarized" in config.data.name
    stored, levels = ((grey > 8).astype(np.uint8), 1) if binary else (grey, 16)
    kind = config.data.binarization or ("static" if binary else "dynamic")
    splits = stored[:32], stored[32:40], stored[40:]
    return dataclasses.replace(config, **changed), Dataset("tiny", *splits, levels, kind)


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
