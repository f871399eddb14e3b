"""Every setting of the structured VAEs trains: a few steps, each value in one model or more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.data import Dataset
from vaejax.data.sequences import SequenceDataset
from vaejax.errors import SettingError
from vaejax.experiment import Data
from vaejax.experiment.structured import (
    MixtureConfig,
    MixtureLearning,
    StructuredMixture,
    mixture_experiment,
)
from vaejax.experiment.structured_sequences import (
    DynamicsLearning,
    StructuredSequenceConfig,
    StructuredStateSpace,
    structured_sequence_experiment,
)
from vaejax.training import Train
from vaejax.types import Conditions, rows_of

TRAIN = Train(epochs=2, batch_size=8)
SPLITS = slice(32), slice(32, 40), slice(40, None)
RANDOM = np.random.RandomState(0)
BINARY = RANDOM.binomial(1, 0.5, (48, 4, 3)).astype(np.uint8)
REAL = RANDOM.randn(48, 4, 3).astype(np.float32)


def points(values, levels, binarization):
    flat = values.reshape(48, -1)
    return Dataset("tiny", *(flat[rows] for rows in SPLITS), levels, binarization)


def sequences(values, levels, binarization, **more):
    every = Conditions(np.arange(4) < RANDOM.randint(2, 5, 48)[:, None], ())
    given = dict(zip(("train", "validation", "test"), SPLITS, strict=True))
    return SequenceDataset(
        "tiny",
        *(values[rows] for rows in SPLITS),
        levels,
        binarization,
        given={name: rows_of(every, rows) for name, rows in given.items()},
        **more,
    )


def few_steps(experiment, dataset):
    """(params before, after the first half, at the end, the bound at each step)."""
    trainer = experiment.trainer(dataset, TRAIN)
    state, _ = trainer.start([jax.random.key(0)])
    found, bounds = [jax.tree.map(np.asarray, state.params)], []
    for _ in range(TRAIN.epochs):
        state, (terms, _) = trainer.steps(state, jnp.arange(32).reshape(1, 4, 8), trainer.data)
        found.append(jax.tree.map(np.asarray, state.params))
        bounds.append(np.asarray(terms.value))
    return *found, np.concatenate(bounds)


def moved(before, after):
    """Which parts of the parameters have changed: of p(z), of the rest of p, of q."""

    def changed(a, b):
        pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        return any(not np.array_equal(*pair) for pair in pairs)

    (of_p, q), (of_p_after, q_after) = before, after
    parts = [("p(z)", of_p["prior"], of_p_after["prior"]), ("q", q, q_after)]
    parts += [
        ("p(x|z)", *({k: v for k, v in p.items() if k != "prior"} for p in (of_p, of_p_after)))
    ]
    return {name for name, *pair in parts if changed(*pair)}


@pytest.mark.parametrize(
    ("gradient", "parameters", "warmup", "full", "likelihood", "data"),
    [
        ("natural", "map", 1, True, "gaussian", (REAL, None, "none")),
        ("natural", "point", 0, False, "bernoulli", (BINARY, 1, "static")),
        ("ordinary", "map", 1, False, "discretized_logistic", (BINARY, 2, "none")),
    ],
)
def test_a_mixture_trains(gradient, parameters, warmup, full, likelihood, data):
    config = MixtureConfig(
        data=Data("tiny"),
        model=StructuredMixture(num_components=3, hidden=(4,), likelihood=likelihood, full=full),
        train=TRAIN,
        learning=MixtureLearning(gradient=gradient, parameters=parameters, warmup_epochs=warmup),
    )
    dataset = points(*data)
    start, middle, end, bounds = few_steps(mixture_experiment(config, dataset.summary), dataset)
    assert np.isfinite(bounds).all()
    networks = {"p(x|z)", "q"}
    assert moved(start, middle) == (networks if warmup else networks | {"p(z)"})
    assert moved(middle, end) == networks | {"p(z)"}


def test_a_warm_up_that_takes_all_of_training_is_refused():
    dataset = points(REAL, None, "none")
    learning = MixtureLearning(warmup_epochs=TRAIN.epochs)
    config = MixtureConfig(data=Data("tiny"), train=TRAIN, learning=learning)
    with pytest.raises(SettingError, match="no mixture would be fitted: give fewer, or more train"):
        mixture_experiment(config, dataset.summary)


@pytest.mark.parametrize(
    ("prior", "gradient", "full", "constant_scale", "likelihood", "data"),
    [
        ("linear", "natural", True, True, "gaussian", (REAL, None, "none")),
        ("linear", "ordinary", False, False, "categorical", (BINARY, None, "none")),
        ("switching", "ordinary", False, False, "bernoulli", (BINARY, 1, "static")),
    ],
)
def test_a_dynamical_system_trains(prior, gradient, full, constant_scale, likelihood, data):
    config = StructuredSequenceConfig(
        data=Data("tiny"),
        model=StructuredStateSpace(
            prior=prior,
            num_states=2,
            emission_hidden=(4,),
            recognition_hidden=(4,),
            full=full,
            likelihood=likelihood,
            constant_scale=constant_scale,
        ),
        train=TRAIN,
        learning=DynamicsLearning(gradient=gradient),
    )
    of_categories = {"num_categories": 2} if likelihood == "categorical" else {}
    dataset = sequences(*data, **of_categories)
    experiment = structured_sequence_experiment(config, dataset.summary)
    start, middle, end, bounds = few_steps(experiment, dataset)
    assert np.isfinite(bounds).all()
    every = {"p(z)", "p(x|z)", "q"}
    assert moved(start, middle) == every and moved(middle, end) == every
    if prior == "switching":
        spread = [np.ptp(params.generative["prior"]["A"], axis=1).max() for params in (middle, end)]
        assert spread[0] < 0.05 < spread[1]
