"""Typed command-line arguments: dataclasses in, dataclasses or one line of complaint out."""

import contextlib
import io
import os
import re
import sys
from typing import Any, TypeVar

import tyro

from vaejax.errors import UserError

T = TypeVar("T")


def parse(kind: type[T], arguments: list[str], *, prog: str, default: Any) -> T:
    """`tyro.cli`, with its complaint as one line.

    Raises:
      UserError: a misspelled or ill-typed argument.
      SystemExit: 0, after `--help`.
    """
    complaint = io.StringIO()
    width = os.environ.get("COLUMNS")
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(kind, args=arguments, prog=prog, default=default)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(_one_line(complaint.getvalue())) from None
    finally:
        if width is None:
            os.environ.pop("COLUMNS", None)
        sys.stderr.flush()


def _one_line(box: str) -> str:
    """The words of a framed message, without frame, rules and title."""
    lines = [line.strip("│ ").strip() for line in box.splitlines()[1:]]
    text = " ".join(line for line in lines if line and not set(line) <= set("─╭╮╰╯│ "))
    text = re.sub(r"^[─╭╮╰╯ ]+", "", text)
    return (
        re.sub(r"\s+", " ", text)
        .replace("For full helptext, see", "; see")
        .replace("For full helptext, run", "; see")
    )
