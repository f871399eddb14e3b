"""Sections as text, and templates as HTML or Markdown."""

import base64
from typing import Any

import jinja2

from vaejax.evaluation.section import Section
from vaejax.text_table import text_table

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("vaejax.report"),
    autoescape=jinja2.select_autoescape(["html.j2"]),
    undefined=jinja2.StrictUndefined,
)
_TEMPLATES.filters["b64"] = lambda png: base64.b64encode(png).decode()


def html(template: str, **values: Any) -> str:
    """Render the named template as an HTML page; a missing value is an error."""
    return _TEMPLATES.get_template(f"{template}.html.j2").render(**values)


def markdown(template: str, **values: Any) -> str:
    """Render the named template as Markdown; a missing value is an error."""
    return _TEMPLATES.get_template(f"{template}.md.j2").render(**values) + "\n"


_TEMPLATES.filters["text_table"] = lambda table: text_table(table.header, table.rows)


def print_section(section: Section, *, notes: bool = True) -> None:
    """Print the protocol, the tables and, if `notes`, the notes of a section."""
    print(section.protocol)
    for table in section.tables:
        print(text_table(*table))
    for note in section.notes if notes else ():
        print(note)
