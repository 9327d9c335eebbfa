"""Count the differences between two copies of one schema, table by table.

Pure: facts from information_schema go in, SQL and numbers come out. Values are compared byte by
byte, because a collation takes `a` and `A` for the same; keys are compared as the server does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keystone_rollout.domain.units import count

VERSION_TABLES = {"migrate_version", "alembic_version"}
"""The version tables, which are compared as versions."""

COUNTED = ("lost", "returning", "changed")


@dataclass(frozen=True)
class Column:
    """A column, as far as it decides whether it can be compared with its namesake."""

    name: str
    kind: str
    """Data type with its precision: a datetime(6) is printed differently from a datetime."""
    collation: str
    primary: bool


Tables = Mapping[str, Sequence[Column]]


@dataclass(frozen=True)
class TableDifference:
    """The numbers of rows of one table that were added, deleted or changed since the backup."""

    table: str
    lost: int = 0
    """Rows that the table has and the backup lacks."""
    returning: int = 0
    """Rows that the backup has and the table lacks."""
    changed: int = 0
    """Rows of both, with other values in a common column."""
    by_key: bool = True
    """False if the two have no common primary key, so that only row counts were compared."""

    @property
    def total(self) -> int:
        """Return the number of rows that differ."""
        return self.lost + self.returning + self.changed

    def __str__(self) -> str:
        parts = [
            f"{count(self.lost)} lost" if self.lost else "",
            f"{count(self.returning)} back" if self.returning else "",
            f"{count(self.changed)} changed back" if self.changed else "",
            "" if self.by_key else "no common primary key, only row counts compared",
        ]
        return f"{self.table}: {', '.join(filter(None, parts)) or 'nothing'}"


@dataclass(frozen=True)
class Difference:
    """The difference of all tables."""

    tables: tuple[TableDifference, ...] = ()

    @property
    def total(self) -> int:
        """Return how many rows differ in all: the writes that would be undone."""
        return sum(table.total for table in self.tables)

    @property
    def affected(self) -> list[TableDifference]:
        """Return the tables that differ, the most affected first."""
        return sorted((table for table in self.tables if table.total),
                      key=lambda table: (-table.total, table.table))  # fmt: skip

    def sentence(self) -> str:
        """Return everything in one sentence, without its full stop."""
        lost, back, changed = (
            sum(getattr(table, kind) for table in self.tables) for kind in COUNTED
        )
        return (
            f"{count(self.total)} writes since the backup: {count(lost)} new rows lost, "
            f"{count(back)} deleted rows back, {count(changed)} rows changed back"
        )


def quoted(*names: str) -> str:
    """Return a qualified identifier; identifiers cannot be parameters of a statement."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def counting_statements(
    table: str,
    live: Sequence[Column] | None,
    kept: Sequence[Column] | None,
    schemas: tuple[str, str],
) -> dict[str, str]:
    """Return the SQL that counts one table's difference, by the name of each count.

    ``schemas`` are the live one and the one that holds the backup; None says that one of them lacks
    the table. Tables without a common primary key are counted as "present" and "saved".
    """
    present, saved = (f"{quoted(schema, table)}" for schema in schemas)
    if live is None or kept is None:
        kind, name = ("returning", saved) if live is None else ("lost", present)
        return {kind: _count(name)}
    key = _common_key(live, kept)
    if not key:
        return {"present": _count(present), "saved": _count(saved)}
    same_key = " AND ".join(f"saved.{quoted(name)} = present.{quoted(name)}" for name in key)
    statements = {
        "lost": _absent(f"{present} AS present", f"{saved} AS saved", same_key),
        "returning": _absent(f"{saved} AS saved", f"{present} AS present", same_key),
    }
    values = [column for column in _common(live, kept) if column not in key]
    if values:
        same = " AND ".join(
            f"CAST(present.{quoted(name)} AS BINARY) <=> CAST(saved.{quoted(name)} AS BINARY)"
            for name in values
        )
        statements["changed"] = (
            f"{_count(f'{present} AS present')} JOIN {saved} AS saved ON {same_key} "
            f"WHERE NOT ({same})"
        )
    return statements


def table_difference(table: str, counts: Mapping[str, int]) -> TableDifference:
    """Make the difference of one table from the counts of its statements."""
    if "present" not in counts:
        lost, returning, changed = (counts.get(kind, 0) for kind in COUNTED)
        return TableDifference(table, lost, returning, changed)
    more = counts["present"] - counts["saved"]
    return TableDifference(table, lost=max(more, 0), returning=max(-more, 0), by_key=False)


def _count(tables: str) -> str:
    return f"SELECT COUNT(*) FROM {tables}"  # noqa: S608  (quoted names from information_schema)


def _absent(tables: str, other: str, same_key: str) -> str:
    inner = f"SELECT 1 FROM {other} WHERE {same_key}"  # noqa: S608  (as above)
    return f"{_count(tables)} WHERE NOT EXISTS ({inner})"


def _common_key(live: Sequence[Column], kept: Sequence[Column]) -> list[str]:
    """Return the primary key's columns if both have the same one; otherwise nothing."""
    keys = [{column for column in columns if column.primary} for columns in (live, kept)]
    return [column.name for column in live if column.primary] if keys[0] == keys[1] else []


def _common(live: Sequence[Column], kept: Sequence[Column]) -> list[str]:
    kinds = {column.name: column.kind for column in kept}
    return [column.name for column in live if kinds.get(column.name) == column.kind]
