"""The one error that a command reports without a traceback."""


class CommandError(Exception):
    """An error that the operator can act on: what was found, what is allowed, what to do next."""
