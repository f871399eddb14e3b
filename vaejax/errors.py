"""Errors that a person can cause: the command line prints their one line and exits with code 2."""

import difflib
from collections.abc import Iterable


def expected_name(given: str, names: Iterable[str]) -> str:
    """In words, the name that a misspelled one is most like; if none is, all of them."""
    names = list(names)
    for near in difflib.get_close_matches(given, names, n=1):
        return f"perhaps you meant {near}"
    return f"expected one of {', '.join(names)}"


class UserError(ValueError):
    """An error that a person can correct. Its line says what was expected, what was given, what to
    do."""


class SettingError(UserError):
    """A setting that cannot be used. Its message names fields; the command line turns them into
    options.

    Attributes:
      fields: the fields that the message names. A field with a dot (`data.binarization`) is a path
        from the top of the configuration.
      section: the part of the configuration that holds the fields without a dot, if known.
    """

    def __init__(self, message: str, *fields: str, section: str = ""):
        super().__init__(message)
        self.fields = fields
        self.section = section

    def within(self, section: str) -> "SettingError":
        """The same error with `section` put before the section that it has, if any."""
        path = f"{section}.{self.section}" if self.section else section
        return SettingError(str(self), *self.fields, section=path)


def require(valid: bool, field: str, expected: str, given: object) -> None:
    """Raise SettingError unless `valid`: `<field> must be <expected>; got <given>`."""
    if not valid:
        raise SettingError(f"{field} must be {expected}; got {given}", field)


def require_least(settings: object, **least: int) -> None:
    """Raise SettingError unless each of these fields is at least its number."""
    for field, number in least.items():
        value = getattr(settings, field)
        require(value >= number, field, f"at least {number}", value)
