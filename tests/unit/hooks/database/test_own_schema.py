"""Our own tables are made at the first change, and those of earlier versions are extended then."""

from __future__ import annotations

from typing import Any

import pytest

from keystone_rollout.hooks.database import own_schema
from keystone_rollout.hooks.database.own_schema import RolloutTable
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.files.cloud_file import load_cloud

OLD = ["cloud", "run_id", "place", "since", "heartbeat"]
NEW = [*OLD, "dag", "token"]


class Administrator:
    """Play a server with one table; ``fails`` is what extending it ends with."""

    def __init__(self, columns: list[str], fails: str = "") -> None:
        self.columns, self.fails = columns, fails
        self.ran: list[str] = []

    def get_records(self, question: str, parameters: dict[str, str]) -> list[tuple[Any, ...]]:
        if question == sql("select_rollout_columns"):
            return [(name.encode(),) for name in self.columns]
        return [("a row",)]

    def run(self, statement: str, parameters: Any = None, autocommit: bool = False) -> None:
        self.ran.append(statement)
        if statement == sql("extend_upgrade_lock"):
            if self.fails:
                raise RuntimeError(self.fails)
            self.columns = NEW


def table(administrator: Administrator, patch: pytest.MonkeyPatch) -> RolloutTable:
    patch.setattr(own_schema, "DatabaseHook", lambda *_, **__: administrator)
    return RolloutTable(load_cloud("lab"), "upgrade_lock", newest="token")


def test_an_old_table_is_read_as_it_is_and_extended_at_the_first_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Administrator(OLD)
    lock = table(server, monkeypatch)
    assert lock.rows("select_upgrade_lock") == [("a row",)]
    assert server.ran == [], "reading changes nothing"
    for _ in range(2):
        lock.write("update_lock_heartbeat", token="t")
    beat = sql("update_lock_heartbeat")
    assert server.ran == [sql("extend_upgrade_lock"), beat, beat]


def test_a_new_table_is_made_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Administrator([])
    lock = table(server, monkeypatch)
    assert lock.rows("select_upgrade_lock") == []
    lock.write("update_lock_heartbeat", token="t")
    assert server.ran[1:] == [sql("create_upgrade_lock"), sql("update_lock_heartbeat")]
    assert all(f"{column} VARCHAR" in server.ran[1] for column in ("dag", "token"))


def test_another_run_that_extends_it_first_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Administrator(OLD, "Duplicate column name 'dag'")
    lock = table(server, monkeypatch)
    with pytest.raises(RuntimeError, match="Duplicate column"):
        lock.write("update_lock_heartbeat", token="t")
    monkeypatch.setattr(lock, "_columns", iter([set(OLD), set(NEW)]).__next__)
    lock.write("update_lock_heartbeat", token="t")
    assert server.ran[-1] == sql("update_lock_heartbeat")


def test_a_mark_is_not_waited_for_as_long_as_a_large_table() -> None:
    cloud = load_cloud("lab")
    waits = RolloutTable(cloud, "server_out").administrator._answers()
    assert set(waits.values()) == {cloud.limits.answer_seconds}
    assert cloud.limits.answer_seconds < cloud.limits.statement_seconds
