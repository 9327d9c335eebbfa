"""The one error that a command reports without a traceback."""


class CommandError(Exception):
    """An error that the operator can act on: the finding, the allowed values, the next step."""
