"""What several commands share: a run's keys, its loading, its signals."""

import contextlib
import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from vaejax import data as data_sets
from vaejax import experiment as experiments_module
from vaejax import report as reports
from vaejax.cache import cache_folder
from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.evaluation.kind import Kind, first_of, kind_of
from vaejax.experiment import Config, Experiment, ExperimentFile
from vaejax.run_directory import RunDirectory
from vaejax.training import init_params
from vaejax.training.checkpoint import Checkpoints
from vaejax.types import GenerativeModel, InferenceNetwork, Params

# Independent streams of a run's key, apart from those of the data protocol's own key.
TRAIN, EVALUATE, PICTURES, SAMPLE, LOG_LIKELIHOOD = range(1001, 1006)
GAPS, COST, POSTERIOR = 1020, 1030, 1040  # log-likelihood takes a stream for each estimator
GRADIENTS, LATENT_USE, COMPARE = 1101, 1102, 1103


def stream(seed: int, purpose: int):
    """The key of one purpose of one seed."""
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), purpose)


def use_compilation_cache() -> None:
    """Compiled programs are kept, so that a second run starts at once."""
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def experiment_argument(command: str, arguments: list[str]) -> tuple[ExperimentFile, list[str]]:
    if not arguments or arguments[0].startswith("-"):
        if arguments and arguments[0] in ("-h", "--help"):
            print(
                f"usage: vaejax {command} EXPERIMENT [settings]\n\n"
                f"vaejax {command} EXPERIMENT --help lists an experiment's settings; "
                "vaejax experiments lists the experiments."
            )
            raise SystemExit(0)
        raise UserError(f"vaejax {command} expects an experiment first: see vaejax experiments")
    file = experiments_module.load(experiments_module.find(arguments[0]))
    if file.comparison is not None and command != "run":
        raise UserError(
            f"{file.name} compares experiments and has no model of its own: vaejax run {file.name} "
            "trains them all and compares them"
        )
    return file, arguments[1:]


def absolute_data(config: Config) -> Config:
    name = config.data.name
    if name.endswith((".npz", ".npy")):
        name = str(Path(name).expanduser().resolve())
    return dataclasses.replace(config, data=dataclasses.replace(config.data, name=name))


def load_data(config: Config) -> Dataset:
    return data_sets.load(
        config.data.name,
        binarization=config.data.binarization,
        validation=config.data.validation,
    )


class Loaded(NamedTuple):
    """A run directory with all that is needed to use its model."""

    directory: RunDirectory
    file: ExperimentFile
    config: Config
    dataset: Dataset
    experiment: Experiment

    @property
    def seed(self) -> int:
        return self.directory.read_json("config.json")["seed"]

    def pair(self, why_not: str) -> tuple[GenerativeModel, InferenceNetwork]:
        """p(x, z) and q(z | x).

        Raises:
          UserError: the run's model has no z; `why_not` says why this is not asked of it.
        """
        generative, inference = self.experiment.generative, self.experiment.inference
        if self.kind() == "no latent variable":
            raise UserError(
                f"{self.directory.path} is an explicit model, p(x) without a z: {why_not}"
            )
        return generative, inference

    def kind(self) -> Kind:
        """Of the model as it starts, which training does not change."""
        shapes = init_params(jax.random.key(0), *self.experiment[:2])[0]
        return kind_of(*self.experiment[:2], shapes, first_of(self.dataset.examples("train")))

    def trained_steps(self) -> int | None:
        return Checkpoints(self.directory.file("checkpoints")).latest_step()

    def params(self) -> tuple[Params, int, str]:
        """(parameters, their step, which they are): the best by validation, else the last."""
        trainer = self.experiment.trainer(self.dataset, self.config.train)
        states, best = jax.eval_shape(lambda: trainer.start([stream(self.seed, TRAIN)]))
        shapes = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape[1:], s.dtype), (states, best))
        state, best = Checkpoints(self.directory.file("checkpoints")).restore(*shapes)
        if np.isfinite(best.value):
            return best.params, int(best.step), "best by validation"
        return state.params, int(state.step), "last"


def load_run(arguments: list[str], command: str) -> tuple[Loaded, list[str]]:
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: vaejax {command} RUN [settings]\n\nvaejax {command} RUN --help lists them.")
        raise SystemExit(0)
    if not arguments or arguments[0].startswith("-"):
        raise UserError(
            f"vaejax {command} expects a run directory first: <out>/<experiment>/<hash>/seed-<n>"
        )
    directory = RunDirectory(Path(arguments[0]))
    saved = directory.read_json("config.json", "experiment", "seed", "config")
    file = experiments_module.load(directory.file("experiment.py"), saved["experiment"])
    config = experiments_module.from_json(type(file.config), saved["config"])
    use_compilation_cache()
    dataset = load_data(config)
    check_fingerprint(directory, dataset)
    loaded = Loaded(directory, file, config, dataset, file.build(config, dataset))
    return loaded, arguments[1:]


def check_fingerprint(directory: RunDirectory, dataset: Dataset) -> None:
    expected = directory.read_json("manifest.json", "data")["data"].get("fingerprint")
    if dataset.fingerprint != expected:
        raise UserError(
            f"{directory.path} was trained on {dataset.name} with fingerprint {expected}; here it "
            f"has {dataset.fingerprint}: its numbers would not be comparable. Point at the data it "
            "was trained on, or give another --out"
        )


def present(dataset: Dataset, split: str, examples: int | None, prefix: str) -> int:
    """How many examples: all unless said; refused where there are not as many."""
    present = len(getattr(dataset, split))
    if present == 0:
        raise UserError(f"the {split} split is empty: choose another {prefix}split")
    if examples is not None and examples > present:
        raise UserError(
            f"{prefix}examples {examples} is more than the {present} of the {split} split: ask for "
            "no more"
        )
    return examples or present


class _Stop:
    signal = 0


@contextlib.contextmanager
def signals():
    """The first Ctrl-C or SIGTERM asks training to save and stop; a second ends it at once."""
    stop = _Stop()

    def ask(number, frame):
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number
        print("\nstopping: saving at the end of this call (again to end at once)", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def progress_bar(total: int, initial: int = 0, unit: str = "step", what: str = "train"):
    return tqdm(
        total=total, initial=initial, unit=unit, desc=what, file=sys.stderr, mininterval=0.5
    )


def no_arguments(command: str, arguments: list[str]) -> None:
    if arguments in (["-h"], ["--help"]):
        print(f"usage: vaejax {command}")
        raise SystemExit(0)
    if arguments:
        raise UserError(f"vaejax {command} takes no arguments; got {' '.join(arguments)}")


def write_report(directory: RunDirectory) -> Path:
    return reports.write_page(directory, reports.draw(directory))
