"""Fixtures of this folder: the real lab."""

from tests.lab_fixtures import fresh_lab, lab

__all__ = ["fresh_lab", "lab"]
