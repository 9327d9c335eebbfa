"""Fixtures of this folder: the real lab."""

from tests.lab_fixtures import lab

__all__ = ["lab"]
