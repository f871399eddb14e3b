"""The exceptions that a person can cause: the command line prints their line and exits with 2."""


class UserError(ValueError):
    """What was expected, what was given, what to do: one line."""


class SettingError(UserError):
    """A setting that cannot be used. Its message names fields, as Python does.

    Attributes:
      fields: the fields that the message names. One with a dot (`data.binarization`) is a path from
        the whole configuration.
      section: the field of the configuration that holds those without a dot, where it is known.
    """

    def __init__(self, message: str, *fields: str, section: str = ""):
        super().__init__(message)
        self.fields = fields
        self.section = section

    @property
    def field(self) -> str:
        """The first of `fields`."""
        return self.fields[0]

    def within(self, section: str) -> "SettingError":
        """The same error of a setting in that section of a configuration; of one that is in a
        section already, in that section's part of the same name."""
        path = f"{section}.{self.section}" if self.section else section
        return SettingError(str(self), *self.fields, section=path)


def require(valid: bool, field: str, expected: str, given: object) -> None:
    """Raises SettingError unless `valid`: `<field> must be <expected>; got <given>`."""
    if not valid:
        raise SettingError(f"{field} must be {expected}; got {given}", field)
