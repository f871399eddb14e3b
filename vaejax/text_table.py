"""Text tables that fit terminals of any width."""

import shutil
import sys
import textwrap

from tabulate import tabulate

_NARROW = 24  # least width, in characters, of a wrapped last column


def text_table(header: list[str], rows: list[list[str]], width: int | None = None) -> str:
    """A table as text. The first and the last column are aligned left, the others right.

    If the table is too wide, the last column is wrapped; if that is not enough, each row becomes
    several lines.

    Args:
      width: the largest width in characters, 0 for no limit; by default that of the terminal.
    """
    width = terminal_width() if width is None else width
    text = _aligned(header, rows)
    if width == 0 or _widest(text) <= width:
        return text
    others = _aligned([*header[:-1], ""], [[*row[:-1], ""] for row in rows])
    room = width - _widest(others) - 2
    if room < _NARROW:
        return _stacked(header, rows, width)
    wrapped = [[*row[:-1], textwrap.fill(row[-1], room)] for row in rows]
    return _aligned([*header[:-1], textwrap.fill(header[-1], room)], wrapped)


def terminal_width() -> int:
    """The width of the terminal in characters; 0 if the output is not a terminal."""
    return shutil.get_terminal_size((0, 0)).columns if sys.stdout.isatty() else 0


def _aligned(header: list[str], rows: list[list[str]]) -> str:
    middle = ["right"] * (len(header) - 2)
    alignment = ["left", *middle, "left"][: len(header)]
    lines = tabulate(
        [header, *rows],
        tablefmt="plain",
        colalign=alignment,
        disable_numparse=True,
        preserve_whitespace=True,
    )
    return "\n".join(line.rstrip() for line in lines.splitlines())


def _stacked(header: list[str], rows: list[list[str]], width: int) -> str:
    """Each row as lines: its first cell, then `column: cell` for every other cell."""
    wrapper = textwrap.TextWrapper(
        width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )
    lines = []
    for first, *cells in rows:
        lines.append(first)
        named = zip(header[1:], cells, strict=True)
        lines += [wrapper.fill(f"{name}: {cell}") for name, cell in named if cell]
    return "\n".join(lines)


def _widest(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)
