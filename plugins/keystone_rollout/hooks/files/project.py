"""Find the project's own folders, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]

INSTALLED = (_PACKAGE / "include").is_dir()
"""Whether this is a wheel, which holds the folders in the package; else it is a checkout."""

PROJECT = _PACKAGE if INSTALLED else _PACKAGE.parents[1]
INCLUDE = PROJECT / "include"
DOCS = PROJECT / "docs"
PLUGINS = PROJECT / "plugins"
"""Holds `operators` and `sensors`, and in a checkout `keystone_rollout`: goes on PYTHONPATH."""
