"""A finished run, from its folder."""

import functools
from pathlib import Path

import jax

from vaejax.data import Dataset, DataSummary, load_summary
from vaejax.errors import UserError
from vaejax.evaluation.run import Run
from vaejax.experiment.configuration import Config
from vaejax.experiment.files import Experiment, ExperimentFile
from vaejax.experiment.files import load as load_file
from vaejax.experiment.identity import from_json
from vaejax.experiment.load_data import load_data
from vaejax.run_directory import RunDirectory
from vaejax.training import init_params
from vaejax.training.checkpoint import Checkpoints


def load(run: str | Path) -> Run:
    """The run in a folder <out>/<experiment>/<hash>/seed-<n>, with the parameters best by
    validation, or else the last. Its data are read when they are asked for; the model can be used
    without them.

    Raises:
      UserError: it is no run, or its files are damaged.
    """
    directory = RunDirectory(Path(run))
    saved = directory.read_json("config.json", "experiment", "seed", "config")
    file = load_file(directory.file("experiment.py"), saved["experiment"])
    config = from_json(type(file.config), saved["config"])
    summary = load_summary(directory.file("data.json"))
    return run_of(directory, file, config, saved["seed"], summary)


def run_of(
    directory: RunDirectory,
    file: ExperimentFile,
    config: Config,
    seed: int,
    data: DataSummary,
    dataset: Dataset | None = None,
) -> Run:
    """The run of this configuration and seed; its data, unless given, are loaded when asked for."""

    @functools.cache
    def load_dataset() -> Dataset:
        loaded = load_data(config) if dataset is None else dataset
        check_fingerprint(directory, loaded)
        return loaded

    def build() -> Experiment:
        return file.build(config, data)

    experiment = build()
    return Run(
        name=file.name,
        directory=directory,
        config=config,
        seed=seed,
        data=data,
        generative=experiment.generative,
        inference=experiment.inference,
        corrupt=experiment.corrupt,
        load_dataset=load_dataset,
        build=build,
        load_params=lambda: Checkpoints(directory.file("checkpoints")).restore_params(
            jax.eval_shape(lambda: init_params(jax.random.key(seed), *experiment[:2])[0])
        ),
    )


def check_fingerprint(directory: RunDirectory, dataset: Dataset) -> None:
    """Raises UserError where the run was trained on other data."""
    expected = load_summary(directory.file("data.json")).fingerprint
    if dataset.summary.fingerprint != expected:
        raise UserError(
            f"{directory.path} was trained on data with fingerprint {expected}; here "
            f"{dataset.name} has {dataset.summary.fingerprint}: its numbers would not be "
            "comparable. Point at the data it was trained on, or give another --out"
        )
