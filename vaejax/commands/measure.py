"""The commands that measure a run: `evaluate`, `log-likelihood`, `gaps`, `cost`, `gradients`,
`posterior`, `forecast`."""

import dataclasses
import sys
from typing import Annotated, Any

import tyro

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import (
    absolute_data,
    asks_for_help,
    locked,
    run_argument,
    warn_of_version,
)
from vaejax.commands.seeds_summary import write_seeds_of
from vaejax.evaluation import MEASUREMENTS, Evaluate, Run, carry_out
from vaejax.evaluation.runner import Measured
from vaejax.experiment import Data
from vaejax.experiment.loading import on_other_data
from vaejax.run_directory import RunDirectory


def measure(command: str, arguments: list[str]) -> int:
    """Carry out a measurement: read the settings, load the run, measure, print."""
    if asks_for_help(arguments):
        print(
            "--data.* and --evaluate.* default to the settings of the run, not to those shown "
            "here.\n"
        )
        _settings(command, Evaluate(), Data(), arguments)
    run, rest = run_argument(command, arguments)
    settings, data = _settings(command, run.config.evaluate, run.config.data, rest)
    warn_of_version(run.directory)
    if data != run.config.data:
        run = on_other_data(run, absolute_data(dataclasses.replace(run.config, data=data)))
        print(
            f"measuring on other data than it was trained on: {run.dataset.name}", file=sys.stderr
        )
    with locked([run.directory]):
        measured = measure_run(command, run, settings)
    print_measured(command, run.directory, measured)
    if command == "evaluate" and not measured.signal and run.on_training_data:
        write_seeds_of(run.directory)
    return 128 + measured.signal if measured.signal else 0


def measure_run(command: str, run: Run, settings: Any) -> Measured:
    """Carry out one measurement, and write the run's page again."""
    measured = carry_out(run, MEASUREMENTS[command], settings)
    if not run.directory.file("config.json").exists():  # on other data: it has no page
        reports.save_figures(run.directory, reports.sections_of(run.directory))
    elif run.directory.is_evaluated():
        reports.write_page(run.directory)
    return measured


def print_measured(command: str, directory: RunDirectory, measured: Measured) -> None:
    """Print the tables of a measurement, and the files that hold it."""
    print(f"\n{directory.label}")
    # The notes of an evaluation are on its page only.
    section = MEASUREMENTS[command].section(measured.about, measured.arrays)
    reports.print_section(section, notes=command != "evaluate")
    names = [f"{measured.stem}.json (summary)"]
    names += [f"figures/{figure.name}.png" for figure in section.figures]
    names += ["report.html"] if directory.file("report.html").exists() else []
    for name in names:
        print(f"  {directory.file(name)}")


def _settings(command: str, own: Evaluate, data: Data, arguments: list[str]) -> tuple[Any, Any]:
    """The command's settings, and the data to measure on. `own` and `data`, those of the run, are
    the defaults of --evaluate.* and --data.*."""
    evaluates, kind = command == "evaluate", MEASUREMENTS[command].settings

    @dataclasses.dataclass(frozen=True)
    class Options:
        evaluate: Annotated[kind, tyro.conf.arg(name=None if evaluates else "")]  # type: ignore[valid-type]
        data: Data

    default = Options(own if evaluates else kind(), data)
    chosen = parse(Options, arguments, prog=f"vaejax {command} RUN", default=default)
    return chosen.evaluate, chosen.data
