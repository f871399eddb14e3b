"""Functions that several commands use: reading arguments, loading runs and data."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import jax

from vaejax import experiment as experiments_module
from vaejax.arguments import parse
from vaejax.cache import cache_folder
from vaejax.data import Dataset, is_own_file
from vaejax.errors import UserError
from vaejax.evaluation import Run
from vaejax.experiment import Config, ExperimentFile
from vaejax.experiment.loading import load, load_saved
from vaejax.run_directory import RunDirectory, made_by_other_version
from vaejax.run_records import find_seeds

T = TypeVar("T")


def use_compilation_cache() -> None:
    """Keep compiled programs on disk, so that the next run of the same program starts at once."""
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def experiment_argument(command: str, arguments: list[str]) -> tuple[ExperimentFile, list[str]]:
    """(experiment file, remaining arguments). The first argument is an experiment, or `--config
    RUN`:
    the experiment and the settings of an earlier run."""
    if arguments[:1] == ["--config"]:
        if len(arguments) < 2:
            raise UserError(f"vaejax {command} --config expects a run: its folder or its name")
        saved = [load_saved(folder) for folder in find_seeds(arguments[1])]
        return saved[0][0], ["--seeds", *(str(seed) for _, seed in saved), *arguments[2:]]
    if not arguments or arguments[0].startswith("-"):
        if arguments and arguments[0] in ("-h", "--help"):
            print(
                f"usage: vaejax {command} EXPERIMENT [settings]\n"
                f"       vaejax {command} --config RUN [settings]\n\n"
                f"vaejax {command} EXPERIMENT --help lists the settings of an experiment.\n"
                "vaejax experiments lists the experiments.\n"
                "--config RUN takes the experiment, the settings and the seeds of an earlier run."
            )
            raise SystemExit(0)
        raise UserError(f"vaejax {command} expects an experiment first: see vaejax experiments")
    file = experiments_module.load(experiments_module.find(arguments[0]))
    if file.comparison is not None and command != "run":
        raise UserError(
            f"{file.name} compares other experiments and has no model of its own: use vaejax run "
            f"{file.name}, which trains and compares them"
        )
    return file, arguments[1:]


def asks_for_help(arguments: list[str]) -> bool:
    """Whether the first argument asks for help, in place of a run."""
    return arguments[:1] in (["-h"], ["--help"])


def run_and_options(
    command: str, arguments: list[str], options: type[T], *, prog: str = ""
) -> tuple[Run, T]:
    """The run that the first argument names, and the options after it. Help needs no run."""
    prog = prog or f"vaejax {command} RUN"
    if asks_for_help(arguments):
        parse(options, arguments, prog=prog, default=options())
    run, rest = run_argument(command, arguments)
    return run, parse(options, rest, prog=prog, default=options())


def run_argument(command: str, arguments: list[str]) -> tuple[Run, list[str]]:
    """The run that the first argument names, and the remaining arguments."""
    if not arguments or arguments[0].startswith("-"):
        raise UserError(
            f"vaejax {command} expects a run first: its folder "
            "<out>/<experiment>/<hash>/seed-<n>, or its name; see vaejax runs"
        )
    use_compilation_cache()
    return load(arguments[0]), arguments[1:]


@contextlib.contextmanager
def locked(directories: list[RunDirectory]) -> Iterator[None]:
    """Lock the folders, so that no other process writes there."""
    with contextlib.ExitStack() as stack:
        for directory in directories:
            stack.enter_context(directory.lock())
        yield


def warn_of_version(directory: RunDirectory) -> None:
    """Print on standard error if another version of vaejax made the run."""
    sentence = made_by_other_version(directory)
    if sentence is not None:
        print(f"{directory.path}: {sentence}", file=sys.stderr)


def load_announced(config: Config) -> Dataset:
    """Load the data set; print on standard error how the values of a person's own file were
    read."""
    dataset = experiments_module.load_data(config)
    if dataset.summary.note:
        print(dataset.summary.note, file=sys.stderr)
    return dataset


def absolute_data(config: Config) -> Config:
    """The configuration with the absolute path of a person's own data file."""
    name = config.data.name
    if is_own_file(name):
        name = str(Path(name).expanduser().resolve())
    return dataclasses.replace(config, data=dataclasses.replace(config.data, name=name))


def no_arguments(command: str, arguments: list[str]) -> None:
    """Raise UserError for any argument but --help."""
    if arguments in (["-h"], ["--help"]):
        print(f"usage: vaejax {command}")
        raise SystemExit(0)
    if arguments:
        raise UserError(f"vaejax {command} takes no arguments; got {' '.join(arguments)}")
