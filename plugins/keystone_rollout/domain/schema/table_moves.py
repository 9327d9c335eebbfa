"""Move all tables of a schema aside, and those of another one into their place, in one statement.

RENAME TABLE is atomic as a whole and takes milliseconds, however large the tables are. It refuses
tables with triggers, and views; both are taken away before and made again after.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from keystone_rollout.domain.schema.difference import quoted

LOADED = "keystone_rollout_backup"
"""Table in the scratch schema that names the backup, made once it is loaded completely."""


def replaced_schema(now: float) -> str:
    """Return the name of the schema that takes the live tables; ``now`` in epoch seconds."""
    return f"keystone_rollout_replaced_{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}"


def rename_statement(
    live_tables: Iterable[str], kept_tables: Iterable[str], live: str, kept: str, replaced: str
) -> str:
    """Return the one statement that puts the restored tables into the live ones' place.

    ``kept`` is the schema that holds the restored ones, ``replaced`` the one that takes the others.
    """
    moves = [(live, table, replaced) for table in live_tables]
    moves += [(kept, table, live) for table in kept_tables]
    return "RENAME TABLE " + ", ".join(
        f"{quoted(source, table)} TO {quoted(target, table)}" for source, table, target in moves
    )


def half_moved(live: Iterable[str], kept: Iterable[str], replaced: Iterable[str]) -> str | None:
    """Say which tables are where, if a server crash left a swap half-done; otherwise None.

    Servers before MariaDB 10.6 and MySQL 8 can do that. ``kept`` are the tables of the backup; if
    all of them were moved away, there is nothing to compare with.
    """
    live, kept, replaced = set(live), set(kept), set(replaced)
    if not replaced or not kept or live == kept:
        return None
    return (
        f"{len(replaced)} tables were moved aside ({_some(replaced)}), but the live schema has "
        f"{len(live)} ({_some(live)}) and the backup {len(kept)}"
    )


def _some(tables: set[str]) -> str:
    names = sorted(tables)
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
