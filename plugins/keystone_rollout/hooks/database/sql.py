"""Read the project's SQL: one question per file, under include/sql."""

from __future__ import annotations

from keystone_rollout.hooks.files.project import INCLUDE

SQL_FOLDER = INCLUDE / "sql"


def sql(name: str) -> str:
    """Return the text of one question."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
