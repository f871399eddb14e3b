"""A finished run, from its folder."""

import dataclasses
import functools
from pathlib import Path

import jax

from vaejax.data import Dataset, DataSummary, is_own_file, load_summary
from vaejax.errors import UserError
from vaejax.evaluation.run import Run
from vaejax.experiment.configuration import Config
from vaejax.experiment.exported import check_export, restore_exported
from vaejax.experiment.files import Experiment, ExperimentFile
from vaejax.experiment.files import load as load_file
from vaejax.experiment.identity import from_json
from vaejax.experiment.load_data import load_data
from vaejax.run_directory import RunDirectory
from vaejax.run_records import find_run
from vaejax.training import init_params
from vaejax.training.checkpoint import Checkpoints
from vaejax.types import Params


def load(run: str | Path) -> Run:
    """Load a finished run: its model with the parameters best by validation, or else the last.

    Its data are read when they are asked for; the model can be used without them. Loading runs the
    Python of its experiment.

    Args:
      run: the folder <out>/<experiment>/<hash>/seed-<n>, or one that `vaejax export` wrote, or
        <out>/<experiment>/<hash> with one seed; or, of what is below `runs`, the name that it was
        given, or the first four or more digits of its hash.

    Returns:
      A `Run`: `encode(xs)`, `sample(key, n)` and `log_likelihood(key, xs)` use the model as it is;
      `joint()` and `posterior(x)` are p(x, z) and q(z | x).

    Raises:
      UserError: it is no run, or several, or its files are damaged. It is a ValueError.
    """
    folder = find_run(str(run))
    file, seed = load_saved(folder)
    directory = RunDirectory(folder)
    summary = load_summary(directory.file("data.json"))
    return run_of(directory, file, file.config, seed, summary)


def load_saved(run: str | Path) -> tuple[ExperimentFile, int]:
    """The experiment of a run's folder, with the configuration that was run, and its seed.

    Raises:
      UserError: it is no run, or its files are damaged.
    """
    directory = RunDirectory(Path(run))
    if directory.is_exported():
        check_export(directory)
    saved = directory.read_json("config.json", "experiment", "seed", "config")
    file = load_file(
        directory.file("experiment.py"), saved["experiment"], directory.file("modules")
    )
    return file._replace(config=from_json(type(file.config), saved["config"])), saved["seed"]


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
        name = config.data.name
        if dataset is None and is_own_file(name) and not Path(name).exists():
            raise UserError(
                f"{directory.path} needs its data for this, and {name} is not there: put the file "
                f"with fingerprint {data.fingerprint} back"
            )
        loaded = load_data(config) if dataset is None else dataset
        check_fingerprint(directory, loaded)
        return loaded

    def build() -> Experiment:
        return file.build(config, data)

    def load_params() -> tuple[Params, int, str]:
        init = functools.partial(
            init_params, generative=experiment.generative, inference=experiment.inference
        )
        shapes = jax.eval_shape(init, jax.random.key(seed))[0]
        if directory.is_exported():
            return restore_exported(directory, shapes)
        return Checkpoints(directory.file("checkpoints")).restore_params(shapes)

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
        load_params=load_params,
    )


def on_other_data(run: Run, config: Config) -> Run:
    """The same model on the data of another configuration. What is measured of it is written apart,
    in <run>/other_data/<data>-<binarization>-<fingerprint>.

    Raises:
      UserError: data of another shape, or of other values, than the model's.
    """
    dataset = load_data(config)
    here, there = dataset.summary, run.data
    frames = [d.shape[1:] if d.is_sequence else d.shape for d in (here, there)]
    kinds = [_kind(d) for d in (here, there)]
    if kinds[0] != kinds[1] or frames[0] != frames[1]:
        raise UserError(
            f"{dataset.name} has {kinds[0]} of shape {frames[0]}; the model of "
            f"{run.directory.path} is of {kinds[1]} of shape {frames[1]}: give data like those of "
            "its training"
        )
    if (here.fingerprint, here.binarization) == (there.fingerprint, there.binarization):
        return run
    folder = f"{here.name}-{here.binarization}-{here.fingerprint[:8]}"
    directory = RunDirectory(run.directory.file("other_data") / folder)
    return dataclasses.replace(
        run,
        directory=directory,
        config=config,
        data=here,
        load_dataset=lambda: dataset,
        on_training_data=False,
    )


def _kind(data: DataSummary) -> str:
    """What x is, in words."""
    words = {
        "binary": "values 0 and 1",
        "grey": f"values k / {data.levels or 1:g}",
        "unit": "values in [0, 1]",
        "real": "real numbers",
        "categories": f"categories 0 to {(data.num_categories or 1) - 1}",
    }[data.support]
    if data.sequence is None:
        return words
    actions = data.sequence.num_actions
    return f"sequences of {words}" + (f" under {actions} actions" if actions else "")


def check_fingerprint(directory: RunDirectory, dataset: Dataset) -> None:
    """Raises UserError where the run was trained on other data."""
    expected = load_summary(directory.file("data.json")).fingerprint
    if dataset.summary.fingerprint != expected:
        raise UserError(
            f"{directory.path} was trained on data with fingerprint {expected}; here "
            f"{dataset.name} has {dataset.summary.fingerprint}: its numbers would not be "
            "comparable. Point at the data it was trained on, or give another --out"
        )
