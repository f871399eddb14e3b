"""The one exception that a person can cause: the command line prints its line and exits with 2."""


class UserError(ValueError):
    """What was expected, what was given, what to do: one line."""
