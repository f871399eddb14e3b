"""`vaejax runs`."""

import csv
import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from vaejax.arguments import parse
from vaejax.errors import UserError
from vaejax.run_records import RunRecord, differing, records, seed_means
from vaejax.text_table import text_table

_HEADER = ["run", "seed", "state", "began", "result", "settings that differ", "folder"]


@dataclasses.dataclass(frozen=True)
class Options:
    folder: Annotated[Path, tyro.conf.arg(metavar="DIR"), tyro.conf.Positional] = Path("runs")
    """Folder whose runs are listed, at any depth."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON: every run under `runs`, averages over seeds under `seeds`."""
    csv: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print comma-separated values, one line for each run."""


def runs(arguments: list[str]) -> int:
    """List the runs below a folder, as a table, JSON or CSV."""
    options = parse(Options, arguments, prog="vaejax runs", default=Options())
    if not options.folder.is_dir():
        raise UserError(
            f"there is no folder {options.folder}: give the folder of your runs (vaejax run makes "
            "them)"
        )
    found = records(options.folder)
    means = seed_means(found)
    if options.json:
        print(json.dumps({"runs": _plain(found), "seeds": _plain(means)}, indent=2))
    elif options.csv:
        rows = [row | {"settings": _words(row["settings"])} for row in _plain(found)]
        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else ["experiment"])
        writer.writeheader()
        writer.writerows(rows)
    elif found:
        both = sorted([*found, *means], key=lambda r: (r.experiment, r.folder, r.seed))
        cells = [_row(*pair) for pair in zip(both, differing(both), strict=True)]
        used = [i for i, column in enumerate(zip(*cells, strict=True)) if any(column)]
        header, *cells = ([row[i] for i in used] for row in [_HEADER, *cells])
        print(text_table(header, cells))
    else:
        print(f"there are no runs below {options.folder}")
    return 0


def _row(record: RunRecord, settings: dict[str, Any]) -> list[str]:
    result = record.result
    shown = ""
    if result is not None:
        error = "" if result.std_error is None else f" +- {result.std_error:.3f}"
        over = " over seeds" if not record.state else ""
        sign, by = ("<= ", f" ({result.bound})") if result.bound else ("", "")
        shown = f"{result.what} {sign}{result.value:.3f}{error} {result.unit}{over}{by}"
    state = record.state
    if state in ("stopped", "running") and record.steps is not None:
        state = f"{state}, {record.step or 0:,} of {record.steps:,} steps"
    name = f"{record.name} ({record.experiment})" if record.name else record.experiment
    return [name, record.seed, state, record.when, shown, _words(settings), str(record.folder)]


def _words(settings: dict[str, Any]) -> str:
    """The settings as options, without the dashes."""
    return ", ".join(
        f"{option} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for option, value in settings.items()
    )


def _plain(found: list[RunRecord]) -> list[dict[str, Any]]:
    """Each run as a dictionary that JSON and CSV can hold."""
    return [
        {
            **record._asdict(),
            "folder": str(record.folder),
            "settings": settings,
            **_result(record),
        }
        for record, settings in zip(found, differing(found), strict=True)
    ]


def _result(record: RunRecord) -> dict[str, Any]:
    if record.result is None:
        return dict.fromkeys(("result", "bound", "value", "std_error", "unit"))
    what, bound, value, error, unit = record.result
    return {"result": what, "bound": bound, "value": value, "std_error": error, "unit": unit}
