"""Read the project's SQL: one question per file, under include/sql."""

from __future__ import annotations

from hooks.cloud_file import PROJECT

SQL_FOLDER = PROJECT / "include" / "sql"


def sql(name: str) -> str:
    """Return the text of one question."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
