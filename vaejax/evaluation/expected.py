"""What an experiment file says of itself: its first sentence, Command, Expected and Measured."""

import ast
import re
from typing import NamedTuple


class Said(NamedTuple):
    """Parts of an experiment file's docstring, each one line; empty where it does not say."""

    title: str
    command: str
    expected: str
    measured: str


def said_in(source: str) -> Said:
    """Of the text of an experiment file. `Command:`, `Expected:` and `Measured:` begin a line; each
    goes on to the next of them, or to an empty line."""
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
    """Whether -log p(x) is at most what is expected, its tolerance added; None where no such figure
    is expected. Written as `-log p(x) <= 22.7 +- 0.3`."""
    limit = re.search(r"-log p\(x\) <= ([\d.]+\d)(?: \+- ([\d.]+\d))?", expected)
    return None if limit is None else value <= float(limit[1]) + float(limit[2] or 0)
