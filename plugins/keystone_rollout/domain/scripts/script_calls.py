"""Say what a call in a migration script does to tables: sqlalchemy-migrate's and alembic's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keystone_rollout.domain.scripts.script_effects import Act, ScriptEffects
from keystone_rollout.domain.scripts.script_sql import read_sql
from keystone_rollout.domain.scripts.script_values import (
    BatchValue,
    ColumnValue,
    KeyValue,
    Mark,
    OneOf,
    QueryValue,
    TableValue,
    each,
    either,
    flat,
    tables_in,
)


@dataclass(frozen=True)
class Call:
    """Hold one call: on what, of what name, with which values."""

    receiver: Any
    name: str
    positional: Sequence[Any]
    named: dict[str, Any]

    def argument(self, place: int, *names: str) -> Any:
        """Return an argument by its place or its name; None where it is not there."""
        found = [self.named[name] for name in names if name in self.named]
        return found[0] if found else next(iter(self.positional[place : place + 1]), None)

    @property
    def values(self) -> list[Any]:
        """Return all arguments."""
        return [*self.positional, *self.named.values()]

    def __str__(self) -> str:
        return f"{self.name}()"


KEYS = {"UniqueConstraint", "ForeignKeyConstraint", "PrimaryKeyConstraint", "CheckConstraint",
        "Index"}  # fmt: skip
_SESSIONS = {"sessionmaker", "Session", "scoped_session", "session_for_write", "get_bind",
             "create_engine"}  # fmt: skip
_READS = {"select", "join", "outerjoin", "alias", "count", "exists", "tometadata", "to_metadata"}
_TABLE_ACTS = {
    "create": Act.APPEARS, "drop": Act.DROPPED,
    "update": Act.WRITTEN, "insert": Act.WRITTEN, "delete": Act.WRITTEN,
}  # fmt: skip
_RUNS = {"execute", "exec_driver_sql", "executescript", "scalar", "scalars"}
_KEEPS_SESSION = {"begin", "connect", "commit", "close", "rollback", "flush", "begin_nested",
                  "dispose", "execution_options", "expire_all", "get_bind"}  # fmt: skip
_HARMLESS = {
    "inspect", "from_engine", "Inspector", "and_", "or_", "not_", "list", "set", "len", "sorted",
    "dict", "tuple", "print", "isinstance", "getattr", "hasattr", "Column", "ForeignKey", "cast",
    "case", "null", "str", "repr", "enumerate", "zip", "any", "all", "min", "max", "iter", "next",
    "exists", "bindparam", "literal",
}  # fmt: skip
_CHANGES = {"create", "drop", "alter", "create_column", "drop_column", "rename", "create_all",
                  "drop_all", "batch_alter_table"}  # fmt: skip
_RUNS_TEXT = {"eval", "exec", "__import__", "compile"}

_OPERATIONS: dict[str, tuple[int, str, Act]] = {
    "create_table": (0, "table_name", Act.APPEARS),
    "drop_table": (0, "table_name", Act.DROPPED),
    "add_column": (0, "table_name", Act.ALTERED),
    "alter_column": (0, "table_name", Act.ALTERED),
    "drop_column": (0, "table_name", Act.ALTERED),
    "create_index": (1, "table_name", Act.ALTERED),
    "drop_index": (1, "table_name", Act.ALTERED),
    "create_unique_constraint": (1, "table_name", Act.ALTERED),
    "create_check_constraint": (1, "table_name", Act.ALTERED),
    "create_primary_key": (1, "table_name", Act.ALTERED),
    "create_foreign_key": (1, "source_table", Act.ALTERED),
    "drop_constraint": (1, "table_name", Act.ALTERED),
    "create_table_comment": (0, "table_name", Act.ALTERED),
    "drop_table_comment": (0, "table_name", Act.ALTERED),
    "bulk_insert": (0, "table", Act.WRITTEN),
}
"""Alembic's operations: at which place, and under which name, each takes its table."""


class Calls:
    """Note the effects of calls, and return what they stand for."""

    def __init__(self, effects: ScriptEffects) -> None:
        self.effects = effects

    def make(self, call: Call) -> Any:
        """Note what a call does and return its value; a receiver of several kinds does each."""
        if isinstance(call.receiver, OneOf):
            return either(
                *(
                    self.make(Call(one, call.name, call.positional, call.named))
                    for one in call.receiver.values
                )
            )
        for kind, handle in self._kinds():
            if isinstance(call.receiver, kind):
                return handle(call)
        handlers = {Mark.ENGINE: self._on_engine, Mark.OPERATIONS: self._operation,
                    Mark.METADATA: self._on_metadata}  # fmt: skip
        if isinstance(call.receiver, Mark) and call.receiver in handlers:
            return handlers[call.receiver](call)
        if call.receiver in (Mark.QUESTION, Mark.WRITE):
            return call.receiver
        return self._plain(call)

    def _kinds(self) -> list[tuple[type, Callable[[Call], Any]]]:
        return [
            (TableValue, self._on_table), (ColumnValue, self._on_column), (KeyValue, self._on_key),
            (BatchValue, self._on_batch), (QueryValue, self._on_query),
        ]  # fmt: skip

    def touch(self, table: Any, act: Act, call: Call) -> None:
        """Note an act on a table, or that it is not known on which."""
        for one in each(table):
            name = one.name if isinstance(one, TableValue) else one
            if isinstance(name, str) and name.isidentifier():
                self.effects.touch(name, act)
            else:
                self.effects.doubt(f"{call} on a table that is not named")

    def _on_table(self, call: Call) -> Any:
        if call.name in _READS:
            return Mark.QUESTION
        if call.name == "rename":
            self.touch(call.receiver, Act.DROPPED, call)
            self.touch(call.argument(0, "name"), Act.APPEARS, call)
            return None
        self.touch(call.receiver, _TABLE_ACTS.get(call.name, Act.ALTERED), call)
        return Mark.WRITE

    def _on_column(self, call: Call) -> Any:
        if call.name in ("alter", "drop", "create"):
            self.touch(call.receiver.table, Act.ALTERED, call)
        return call.receiver if call.name == "copy" else None

    def _on_key(self, call: Call) -> None:
        if call.name in ("create", "drop"):
            for table in call.receiver.tables or (None,):
                self.touch(table, Act.ALTERED, call)

    def _on_batch(self, call: Call) -> Any:
        if call.name == "f":
            return call.argument(0)
        self.touch(call.receiver.table, Act.ALTERED, call)
        return None

    def _on_query(self, call: Call) -> Any:
        if call.name in ("update", "delete"):
            for table in call.receiver.tables or (None,):
                self.touch(table, Act.WRITTEN, call)
            return Mark.WRITE
        return call.receiver

    def _on_metadata(self, call: Call) -> None:
        if call.name in ("create_all", "drop_all"):
            self.effects.doubt(f"{call} of whatever the metadata holds")

    def _on_engine(self, call: Call) -> Any:
        if call.name in _RUNS:
            return self._run(call)
        if call.name == "query":
            return QueryValue(tables_in(*call.values))
        if call.name in _KEEPS_SESSION or call.name == "":
            return Mark.ENGINE
        self.effects.doubt(f"{call} of the database connection")
        return None

    def _run(self, call: Call) -> Any:
        for statement in each(call.argument(0, "statement", "sqltext")):
            if isinstance(statement, str):
                read_sql(statement, self.effects)
            elif statement not in (Mark.QUESTION, Mark.WRITE):
                self.effects.doubt("runs a statement that is not in the text")
        return Mark.QUESTION

    def _operation(self, call: Call) -> Any:
        if call.name in _OPERATIONS:
            place, name, act = _OPERATIONS[call.name]
            self.touch(call.argument(place, name), act, call)
            return None
        if call.name == "batch_alter_table":
            name = call.argument(0, "table_name")
            return BatchValue(TableValue(name if isinstance(name, str) else None))
        if call.name == "rename_table":
            self.touch(call.argument(0, "old_table_name"), Act.DROPPED, call)
            self.touch(call.argument(1, "new_table_name"), Act.APPEARS, call)
            return None
        if call.name == "execute":
            return self._run(call)
        if call.name in ("get_bind", "get_context"):
            return Mark.ENGINE
        if call.name == "f":
            return call.argument(0)
        self.effects.doubt(f"alembic's operation {call}")
        return None

    def _plain(self, call: Call) -> Any:
        """Handle a call of a function, or of a method of something that is no table."""
        makers: dict[str, Callable[[Call], Any]] = {
            "Table": _table, "table": _table, "text": lambda made: made.argument(0, "text"),
            "MetaData": lambda _: Mark.METADATA, "select": lambda _: Mark.QUESTION,
            "join": lambda _: Mark.QUESTION, "outerjoin": lambda _: Mark.QUESTION,
            "update": self._writing, "insert": self._writing, "delete": self._writing,
        }  # fmt: skip
        if call.name in makers:
            return makers[call.name](call)
        if call.name in KEYS:
            return _key(call)
        if call.name in _SESSIONS:
            return Mark.ENGINE
        if call.name in _RUNS and call.values:
            return self._run(call)
        if call.name in _CHANGES | _RUNS_TEXT | _OPERATIONS.keys():
            self.effects.doubt(f"{call} of something that is not in the text")
        elif call.name not in _HARMLESS and _hands_over(call):
            self.effects.doubt(f"hands tables or the database to {call}")
        return None

    def _writing(self, call: Call) -> Any:
        """Note a standalone `update(table)`; a dict's method of that name has no table."""
        found = tables_in(*call.values)
        for table in found:
            self.touch(table, Act.WRITTEN, call)
        return Mark.WRITE if found else None


def _hands_over(call: Call) -> bool:
    handed = [value for given in call.values for value in flat(given)]
    kinds = (TableValue, ColumnValue, KeyValue, BatchValue, QueryValue)
    return any(
        isinstance(value, kinds) or value in (Mark.ENGINE, Mark.OPERATIONS, Mark.METADATA)
        for value in handed
    )


def _table(call: Call) -> Any:
    names = each(call.argument(0, "name"))
    return either(*(TableValue(name if isinstance(name, str) else None) for name in names))


def _key(call: Call) -> KeyValue:
    """Take the table that a key belongs to; those that it refers to are not changed."""
    if "table" in call.named:
        return KeyValue(tables_in(call.named["table"]))
    if call.name == "ForeignKeyConstraint":
        return KeyValue(tables_in(call.argument(0, "columns")))
    return KeyValue(tables_in(*call.values))
