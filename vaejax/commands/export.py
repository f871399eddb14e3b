"""`vaejax export`."""

import dataclasses
from pathlib import Path

from vaejax import report as reports
from vaejax.commands.common import run_and_options, warn_of_version
from vaejax.experiment.exported import export as export_run


@dataclasses.dataclass(frozen=True)
class Options:
    out: Path | None = None
    """Folder to write, new or empty; by default <experiment>-<hash>-seed-<n>."""


def export(arguments: list[str]) -> int:
    """Write a run as a folder to share."""
    run, options = run_and_options("export", arguments, Options)
    warn_of_version(run.directory)
    exported = export_run(run, options.out or Path("-".join(run.directory.name.split("/"))))
    if exported.is_evaluated():
        reports.write_page(exported)
    reports.write_model_card(exported)
    print(f"exported: {exported.path}; choose a licence in {exported.file('README.md')}")
    return 0
