"""`vaejax export`."""

import dataclasses
from pathlib import Path

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import run_argument, warn_of_version
from vaejax.experiment.exported import export as export_run


def export(arguments: list[str]) -> int:
    """Write a folder to share."""
    run, rest = run_argument("export", arguments)

    @dataclasses.dataclass(frozen=True)
    class Options:
        out: Path = Path("-".join(run.directory.name.split("/")))
        """The folder to write; it must be new or empty."""

    options = parse(Options, rest, prog="vaejax export RUN", default=Options())
    warn_of_version(run.directory)
    exported = export_run(run, options.out)
    if exported.is_evaluated():
        reports.write_page(exported)
    reports.write_model_card(exported)
    print(f"exported: {exported.path}; choose a licence in {exported.file('README.md')}")
    return 0
