"""A finished run, from its folder."""

import functools
from pathlib import Path

import jax

from vaejax import data as data_sets
from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.evaluation.run import Run
from vaejax.experiment import Config, Experiment, ExperimentFile, from_json
from vaejax.experiment import load as load_experiment
from vaejax.run_directory import RunDirectory
from vaejax.training import init_params
from vaejax.training.checkpoint import Checkpoints


def load(run: str | Path) -> Run:
    """The run in a folder <out>/<experiment>/<hash>/seed-<n>, with the parameters best by
    validation, or else the last.

    Raises:
      UserError: it is no run, its files are damaged, or its data are not those it was trained on.
    """
    directory = RunDirectory(Path(run))
    saved = directory.read_json("config.json", "experiment", "seed", "config")
    file = load_experiment(directory.file("experiment.py"), saved["experiment"])
    config = from_json(type(file.config), saved["config"])
    return run_of(directory, file, config, saved["seed"])


def run_of(
    directory: RunDirectory,
    file: ExperimentFile,
    config: Config,
    seed: int,
    dataset: Dataset | None = None,
) -> Run:
    """The run of this configuration and seed; its data, unless given, are loaded when asked for."""

    @functools.cache
    def load_dataset() -> Dataset:
        loaded = load_data(config) if dataset is None else dataset
        check_fingerprint(directory, loaded)
        return loaded

    def build() -> Experiment:
        return file.build(config, load_dataset())

    experiment = build()
    return Run(
        name=file.name,
        directory=directory,
        config=config,
        seed=seed,
        generative=experiment.generative,
        inference=experiment.inference,
        corrupt=experiment.corrupt,
        load_dataset=load_dataset,
        build=build,
        load_params=lambda: Checkpoints(directory.file("checkpoints")).restore_params(
            jax.eval_shape(lambda: init_params(jax.random.key(seed), *experiment[:2])[0])
        ),
    )


def load_data(config: Config) -> Dataset:
    return data_sets.load(
        config.data.name,
        binarization=config.data.binarization,
        validation=config.data.validation,
    )


def check_fingerprint(directory: RunDirectory, dataset: Dataset) -> None:
    expected = directory.read_json("manifest.json", "data")["data"].get("fingerprint")
    if dataset.fingerprint != expected:
        raise UserError(
            f"{directory.path} was trained on {dataset.name} with fingerprint {expected}; here it "
            f"has {dataset.fingerprint}: its numbers would not be comparable. Point at the data it "
            "was trained on, or give another --out"
        )
