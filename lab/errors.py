"""The one error that the lab reports without a traceback."""


class LabError(Exception):
    """Something the operator can act on: what was found, what is allowed, what to do next."""
