"""The commands that measure a run: `evaluate`, `log-likelihood`, `gaps`, `cost`, `gradients`,
`posterior`, `forecast`."""

import dataclasses
from typing import Any

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import locked, run_argument, warn_of_version
from vaejax.evaluation import MEASUREMENTS, Evaluate, Run, carry_out
from vaejax.evaluation.runner import Measured
from vaejax.run_directory import RunDirectory


def measure(command: str, arguments: list[str]) -> int:
    """Parse, load, carry out, render."""
    run, rest = run_argument(command, arguments)
    settings = _settings(command, run, rest)
    warn_of_version(run.directory)
    with locked([run.directory]):
        measured = measure_run(command, run, settings)
    print_measured(command, run.directory, measured)
    return 128 + measured.signal if measured.signal else 0


def measure_run(command: str, run: Run, settings: Any) -> Measured:
    """Carry out one measurement, and write the run's page anew."""
    measured = carry_out(run, MEASUREMENTS[command], settings)
    if run.directory.is_evaluated():
        reports.write_page(run.directory)
    return measured


def print_measured(command: str, directory: RunDirectory, measured: Measured) -> None:
    print(f"\n{directory.name}")
    # What an evaluation means is on its page.
    section = MEASUREMENTS[command].section(measured.about, measured.arrays)
    reports.print_section(section, notes=command != "evaluate")
    names = [f"{measured.stem}.json (summary)"]
    names += [f"figures/{figure.name}.png" for figure in section.figures]
    names += ["report.html"] if directory.file("report.html").exists() else []
    for name in names:
        print(f"  {directory.file(name)}")


def _settings(command: str, run: Run, arguments: list[str]) -> Any:
    prog = f"vaejax {command} RUN"
    if command != "evaluate":
        kind = MEASUREMENTS[command].settings
        return parse(kind, arguments, prog=prog, default=kind())

    @dataclasses.dataclass(frozen=True)
    class Options:
        evaluate: Evaluate

    return parse(Options, arguments, prog=prog, default=Options(run.config.evaluate)).evaluate


def evaluate(arguments: list[str]) -> int:
    """Measure a run, with its own settings or others."""
    return measure("evaluate", arguments)


def log_likelihood(arguments: list[str]) -> int:
    """Estimate log p(x) of a run's examples, by one estimator or all."""
    return measure("log-likelihood", arguments)


def gaps(arguments: list[str]) -> int:
    """What the inference of a run costs: approximation, amortization and total gap."""
    return measure("gaps", arguments)


def cost(arguments: list[str]) -> int:
    """The bound against steps and seconds of optimizing q for each x, beside the encoder's."""
    return measure("cost", arguments)


def gradients(arguments: list[str]) -> int:
    """Measure gradient estimators at a run's parameters."""
    return measure("gradients", arguments)


def posterior(arguments: list[str]) -> int:
    """Of a two-dimensional z: the true posterior, the encoder's q and the best q of each family."""
    return measure("posterior", arguments)


def forecast(arguments: list[str]) -> int:
    """What follows the first frames of a run's sequences, against what did follow."""
    return measure("forecast", arguments)
