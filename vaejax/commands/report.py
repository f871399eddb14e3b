"""`vaejax report`."""

from vaejax import report as reports
from vaejax.commands.common import warn_of_version
from vaejax.errors import UserError
from vaejax.experiment.exported import check_export
from vaejax.run_directory import RunDirectory
from vaejax.run_records import find_run


def report(arguments: list[str]) -> int:
    """Write a run's figures and page from its files; no model is loaded."""
    if arguments in (["-h"], ["--help"]):
        print("usage: vaejax report RUN\n\nWrite the figures and the page of a run from its files.")
        return 0
    if len(arguments) != 1:
        raise UserError(
            f"vaejax report expects one run, its folder or its name; got {len(arguments)} arguments"
        )
    directory = RunDirectory(find_run(arguments[0]))
    directory.read_json("config.json")
    if directory.is_exported():
        check_export(directory)
    if not directory.is_evaluated():
        raise UserError(f"{directory.path} is not evaluated yet: vaejax evaluate {directory.path}")
    warn_of_version(directory)
    print(reports.write_page(directory))
    return 0
