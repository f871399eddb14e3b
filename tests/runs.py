"""Runs made in memory: a pair with its parameters and data, as measurements see a finished run."""

import tempfile
from pathlib import Path

import jax
import numpy as np

from vaejax.data import Dataset
from vaejax.evaluation import Evaluate, Run
from vaejax.evaluation.evaluate import evaluate
from vaejax.run_directory import RunDirectory
from vaejax.types import Example


def a_run(generative, inference, params, test, train=None, *, folder=None, seed=0) -> Run:
    """Of real-valued test examples; the training examples are the same unless given."""
    test = np.asarray(test)
    train = test if train is None else np.asarray(train)
    dataset = Dataset("given", train, test[:0], test, None, "none")
    return a_run_of(dataset, generative, inference, params, folder=folder, seed=seed)


def a_run_of(dataset, generative, inference, params, *, folder=None, seed=0) -> Run:
    """Of a data set."""
    return Run(
        name=dataset.name,
        directory=RunDirectory(Path(folder or tempfile.gettempdir())),
        config=None,
        seed=seed,
        data=dataset.summary,
        generative=generative,
        inference=inference,
        corrupt=None,
        load_dataset=lambda: dataset,
        build=lambda: None,
        load_params=lambda: (params, 1, "last"),
    )


def whole(part):
    """All arrays of one part of a measurement."""
    *_, arrays = part.blocks({}, lambda cost: True)
    return arrays


def evaluated(generative, inference, params, xs, num_samples=30, seed=0):
    """The per-example arrays of an evaluation."""
    run = a_run(generative, inference, params, xs, seed=seed)
    return whole(evaluate(run, Evaluate(num_samples=num_samples))[0])


def examples(xs) -> Example:
    return Example(jax.numpy.asarray(xs))
