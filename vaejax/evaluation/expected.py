"""The docstring of an experiment file: its title, Command, Expected and Measured."""

import ast
import re
from typing import NamedTuple


class Said(NamedTuple):
    """The parts of an experiment file's docstring, each one line; "" for a missing part."""

    title: str
    command: str
    expected: str
    measured: str


def said_in(source: str) -> Said:
    """Read the docstring in the source of an experiment file. `Command:`, `Expected:` and
    `Measured:` each begin a line, and end at the next of them or at an empty line."""
    try:
        text = ast.get_docstring(ast.parse(source)) or ""
    except SyntaxError:
        text = ""
    parts = {name.lower(): "" for name in ("Command", "Expected", "Measured")}
    for name, value in re.findall(
        r"^(Command|Expected|Measured): +(.*(?:\n(?!Expected: |Measured: )\S.*)*)",
        text,
        re.MULTILINE,
    ):
        parts[name.lower()] = " ".join(value.split())
    title = " ".join(text.split("\n\n")[0].split())
    return Said("" if title.startswith("Command:") else title, **parts)


def is_reached(expected: str, value: float) -> bool | None:
    """Whether -log p(x), `value`, is at most the expected value plus its tolerance, which the
    docstring gives as `-log p(x) <= 22.7 +- 0.3`; None if it does not."""
    limit = re.search(r"-log p\(x\) <= ([\d.]+\d)(?: \+- ([\d.]+\d))?", expected)
    return None if limit is None else value <= float(limit[1]) + float(limit[2] or 0)
