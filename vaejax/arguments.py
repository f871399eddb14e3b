"""Typed command-line arguments: dataclasses in, dataclasses or one line of complaint out."""

import contextlib
import io
import os
import re
import sys
import typing
from typing import Any, TypeVar

import tyro

from vaejax.errors import SettingError, UserError

T = TypeVar("T")


def parse(kind: type[T], arguments: list[str], *, prog: str, default: Any) -> T:
    """`tyro.cli`, with its complaint as one line.

    Raises:
      UserError: a misspelled or ill-typed argument; a SettingError has its section.
      SystemExit: 0, after `--help`.
    """
    with _complaint_in_one_line(kind):
        return tyro.cli(kind, args=arguments, prog=prog, default=default)


def parse_known(
    kind: type[T], arguments: list[str], *, prog: str, default: Any
) -> tuple[T, list[str]]:
    """`parse`, and the arguments that `kind` does not know."""
    with _complaint_in_one_line(kind):
        return tyro.cli(kind, args=arguments, prog=prog, default=default, return_unknown_args=True)


def in_options(error: UserError) -> str:
    """The error's line, with options in place of the fields that it names."""
    message = str(error)
    if not isinstance(error, SettingError):
        return message

    def option(match: re.Match) -> str:
        field = match[0]
        path = f"{error.section}.{field}" if error.section and "." not in field else field
        return f"--{path.replace('_', '-')}"

    names = "|".join(map(re.escape, sorted(error.fields, key=len, reverse=True)))
    return re.sub(rf"(?<![\w./-])(?:{names})(?![\w/-]|\.\w)", option, message)


@contextlib.contextmanager
def _complaint_in_one_line(kind: type):
    complaint, text = io.StringIO(), io.StringIO()
    # What is no terminal is written to without colours.
    shown = text if os.environ.get("NO_COLOR") else sys.stdout
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(shown):
            yield
    except SystemExit as stop:
        if not stop.code:
            print(text.getvalue(), end="")
            raise
        if (error := _setting_error(kind, stop)) is not None:
            raise error from None
        raise UserError(_one_line(complaint.getvalue())) from None


def _setting_error(kind: type, stop: BaseException) -> SettingError | None:
    """The SettingError that made tyro stop, with the section in which it was raised."""
    section, cause = "", stop.__context__
    while cause is not None and not isinstance(cause, SettingError):
        section = getattr(cause, "arg", section)
        cause = cause.__context__
    if cause is None:
        return None
    # A field of the options without a name of its own is no part of the option.
    first, _, rest = str(section).partition(".")
    hint = typing.get_type_hints(kind, include_extras=True).get(first)
    unnamed = any(getattr(mark, "name", None) == "" for mark in getattr(hint, "__metadata__", ()))
    return cause.within(rest if unnamed else str(section))


def _one_line(box: str) -> str:
    """The words of a framed message, without frame, rules and title."""
    lines = [re.sub(r"[─╭╮╰╯│|+]|-{3,}", " ", line).strip() for line in box.splitlines()[1:]]
    text = re.sub(r"\s+", " ", " ".join(lines)).strip()
    text = re.sub(r"Error parsing [A-Z]\w*(\.\w+)*: ", "", text)  # a class, not an option
    text, *see = re.split(r"\.? ?For full helptext, (?:see|run)", text)
    return "; see".join([_unrecognized(text), *see])


def _unrecognized(text: str) -> str:
    """Of options that tyro does not know their names alone, without values, and the names of those
    most like them, without types and help. Any other text as it is."""
    given, *similar = re.split(r" (?:Perhaps you meant|Arguments similar to \S+):(?= )", text)
    options = re.findall(r"(?<!\S)--[\w.-]+", given)
    if not given.startswith("Unrecognized options") or not options:
        return text
    meant = {name for part in similar for name in re.findall(r"(?<!\S)--[\w.-]+", part)[:1]}
    words = f"Unrecognized options: {', '.join(options)}"
    return f"{words}; perhaps you meant {', '.join(sorted(meant))}" if meant else words
