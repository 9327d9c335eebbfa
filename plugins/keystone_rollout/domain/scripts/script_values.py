"""Name what the expressions of a migration script can stand for, as far as tables are concerned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Mark(Enum):
    """Stand for a thing of which it only counts what kind it is."""

    ENGINE = auto()
    """Whatever runs statements: engine, connection, session, and what makes one."""
    DIALECT = auto()
    """The name of the database in use."""
    OPERATIONS = auto()
    """Alembic's `op`."""
    METADATA = auto()
    QUESTION = auto()
    """A statement that reads, and what it returned."""
    WRITE = auto()
    """A statement that writes rows of a table; it was noted where it was made."""


@dataclass(frozen=True)
class TableValue:
    """Stand for a table; its name is None where the text does not say it."""

    name: str | None


@dataclass(frozen=True)
class ColumnValue:
    """Stand for columns of a table, or all of them."""

    table: TableValue


@dataclass(frozen=True)
class KeyValue:
    """Stand for a constraint or an index of tables."""

    tables: tuple[TableValue, ...]


@dataclass(frozen=True)
class BatchValue:
    """Stand for alembic's batch of changes to one table."""

    table: TableValue


@dataclass(frozen=True)
class QueryValue:
    """Stand for a query of a session, which can also write or delete what it finds."""

    tables: tuple[TableValue, ...]


@dataclass(frozen=True)
class OneOf:
    """Stand for one of several values: which one is only known when the script runs."""

    values: tuple[Any, ...]


def each(value: Any) -> tuple[Any, ...]:
    """Return what a value can be."""
    return value.values if isinstance(value, OneOf) else (value,)


def either(*values: Any) -> Any:
    """Return the value that can be any of these."""
    distinct: list[Any] = []
    for value in (one for given in values for one in each(given)):
        if not any(value is known or value == known for known in distinct):
            distinct.append(value)
    return distinct[0] if len(distinct) == 1 else OneOf(tuple(distinct))


def flat(value: Any) -> Iterator[Any]:
    """Yield a value, or those that are in its lists."""
    for one in each(value):
        if isinstance(one, list):
            for inner in one:
                yield from flat(inner)
        else:
            yield one


def tables_in(*values: Any) -> tuple[TableValue, ...]:
    """Return the tables to which columns or tables among some values belong, each once."""
    found = []
    for value in (inner for given in values for inner in flat(given)):
        table = value.table if isinstance(value, ColumnValue) else value
        if isinstance(table, TableValue) and table not in found:
            found.append(table)
    return tuple(found)
