"""Typed command-line arguments: dataclasses in, dataclasses or one line of complaint out."""

import contextlib
import io
import re
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
    with _complaint_in_one_line():
        return tyro.cli(kind, args=arguments, prog=prog, default=default)


def parse_known(
    kind: type[T], arguments: list[str], *, prog: str, default: Any
) -> tuple[T, list[str]]:
    """`parse`, and the arguments that `kind` does not know."""
    with _complaint_in_one_line():
        return tyro.cli(kind, args=arguments, prog=prog, default=default, return_unknown_args=True)


@contextlib.contextmanager
def _complaint_in_one_line():
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            yield
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(_one_line(complaint.getvalue())) from None


def _one_line(box: str) -> str:
    """The words of a framed message, without frame, rules and title."""
    lines = [re.sub(r"[─╭╮╰╯│|+]|-{3,}", " ", line).strip() for line in box.splitlines()[1:]]
    text = re.sub(r"\s+", " ", " ".join(lines)).strip()
    # Of our own checks it says in which class they are; of tyro's, which option they are about.
    text = re.sub(r"Error parsing [A-Z]\w*(\.\w+)*: ", "", text)
    return re.sub(r"\.? ?For full helptext, (?:see|run)", "; see", text)
