"""Loading a run from its folder."""

import dataclasses
import functools
from pathlib import Path

import jax

from vaejax.data import Dataset, DataSummary, is_own_file, load_summary
from vaejax.errors import UserError
from vaejax.evaluation.run import Run
from vaejax.experiment.configuration import Config, load_data
from vaejax.experiment.exported import check_export, restore_exported
from vaejax.experiment.files import Experiment, ExperimentFile
from vaejax.experiment.files import load as load_file
from vaejax.experiment.identity import from_json
from vaejax.run_directory import RunDirectory
from vaejax.run_records import find_run
from vaejax.training import init_params
from vaejax.training.checkpoint import Checkpoints
from vaejax.types import Params


def load(run: str | Path) -> Run:
    """Load a run: its model, its parameters (best by validation, else the last), its settings.

    The data are read only when they are used; the model works without them. Loading executes the
    Python file of the run's experiment.

    Args:
      run: the folder of a run, <out>/<experiment>/<hash>/seed-<n>; the folder
        <out>/<experiment>/<hash>, if it has one seed; a folder that `vaejax export` wrote; or, for
        a run below the folder `runs`, its name, or the first digits (four or more) of its hash.

    Returns:
      A `Run`: `encode(xs)`, `sample(key, n)` and `log_likelihood(key, xs)` use the model as it is;
      `joint()` and `posterior(x)` are p(x, z) and q(z | x).

    Raises:
      UserError: there is no such run, several runs match, or files are damaged. It is a ValueError.
    """
    folder = find_run(str(run))
    file, seed = load_saved(folder)
    directory = RunDirectory(folder)
    summary = load_summary(directory.file("data.json"))
    return run_of(directory, file, file.config, seed, summary)


def load_saved(run: str | Path) -> tuple[ExperimentFile, int]:
    """(experiment file, seed) of a run's folder; the file's `config` is the one that was run.

    Raises:
      UserError: the folder is not a run, or files are damaged.
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
    """The run of a configuration and a seed. Its data, unless given, are loaded at their first
    use."""

    @functools.cache
    def load_dataset() -> Dataset:
        name = config.data.name
        if dataset is None and is_own_file(name) and not Path(name).exists():
            raise UserError(
                f"{directory.path} needs its data for this, but there is no {name}: put the file "
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
    """The run with the data of another configuration. Its measurements are written to
    <run>/other_data/<data>-<binarization>-<fingerprint>.

    Raises:
      UserError: the data have another shape or another kind of values than the model's.
    """
    dataset = load_data(config)
    here, there = dataset.summary, run.data
    frames = [d.shape[1:] if d.is_sequence else d.shape for d in (here, there)]
    kinds = [_kind(d) for d in (here, there)]
    if kinds[0] != kinds[1] or frames[0] != frames[1]:
        raise UserError(
            f"{dataset.name} has {kinds[0]} of shape {frames[0]}; the model of "
            f"{run.directory.path} expects {kinds[1]} of shape {frames[1]}: give such data"
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
    """The kind of x, in words."""
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
    """Raise UserError if the run was trained on other data."""
    expected = load_summary(directory.file("data.json")).fingerprint
    if dataset.summary.fingerprint != expected:
        raise UserError(
            f"{directory.path} was trained on data with fingerprint {expected}; {dataset.name} now "
            f"has {dataset.summary.fingerprint}, so numbers would not be comparable: give the data "
            "that it was trained on, or another --out"
        )
