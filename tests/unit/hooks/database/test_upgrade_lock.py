"""The row of the lock is read as this version and an earlier one have written it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from keystone_rollout.domain.run.lock import RunIdentity
from keystone_rollout.hooks.database import upgrade_lock
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.database.upgrade_lock import UpgradeLock
from keystone_rollout.hooks.files.cloud_file import load_cloud

SINCE = datetime(2026, 1, 2, 3, 4, 5)
OLD = (7, "lab", "manual__1", "host-a:/airflow", SINCE, SINCE)
RUN = RunIdentity("manual__1", "keystone_upgrade", "host-a:/airflow", "a1")


class Table:
    """Play the table with one row, and note what is changed by which parameters."""

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.row = row
        self.written: list[tuple[str, dict[str, Any]]] = []

    def rows(self, question: str) -> list[tuple[Any, ...]]:
        return [self.row]

    def write(self, statement: str, **parameters: Any) -> None:
        self.written.append((statement, parameters))


def lock_on(
    row: tuple[Any, ...], patch: pytest.MonkeyPatch, run: RunIdentity = RUN, dead: str = ""
) -> tuple[UpgradeLock, Table]:
    table = Table(row)
    patch.setattr(upgrade_lock, "RolloutTable", lambda *_, **__: table)
    return UpgradeLock(load_cloud("lab"), run, dead), table


@pytest.mark.parametrize(
    ("newer", "found"), [((), ("", "")), (("keystone_upgrade", b"a1"), ("keystone_upgrade", "a1"))]
)
def test_a_row_of_either_version_is_read(
    newer: tuple[Any, ...], found: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = lock_on((*OLD, *newer), monkeypatch)[0].holder()
    assert holder is not None
    assert (holder.run_id, holder.place, holder.silent_seconds) == (*OLD[2:4], 7)
    assert (holder.since, (holder.dag, holder.token)) == ("2026-01-02 03:04:05", found)


def test_only_the_run_with_its_token_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    row = (*OLD, "keystone_upgrade", "a1")
    own, table = lock_on(row, monkeypatch)
    other, untouched = lock_on(row, monkeypatch, RunIdentity("manual__1", token="b2"))
    assert not other.release()
    assert not other.take()[0].ok
    assert untouched.written == []
    assert own.release()
    assert table.written == [("delete_upgrade_lock", {"run_id": "manual__1", "token": "a1"})]


def test_the_very_run_that_was_judged_dead_is_the_one_that_is_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = (900, *OLD[1:], "keystone_upgrade", "a1")
    lock, table = lock_on(row, monkeypatch, RunIdentity("manual__2", token="b2"), "manual__1")
    _verdict, broken = lock.take()
    assert broken is not None
    ((statement, given),) = table.written
    assert (statement, given["broken"], given["broken_token"]) == (
        "break_upgrade_lock", "manual__1", "a1"
    )  # fmt: skip
    assert (given["run_id"], given["token"]) == ("manual__2", "b2")


def test_a_lock_that_an_earlier_version_broke_is_not_this_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That version names its run in the row, and leaves DAG and token of the broken one in it."""
    row = (1, "lab", "manual__2", "host-b:/airflow", SINCE, SINCE, "keystone_upgrade", "a1")
    lock, table = lock_on(row, monkeypatch)
    assert not lock.judge().ok
    assert not lock.release()
    assert table.written == []
    for statement in ("delete_upgrade_lock", "update_lock_heartbeat"):
        assert "run_id = %(run_id)s AND token = %(token)s" in sql(statement)


def test_a_table_is_extended_in_words_that_every_server_knows() -> None:
    """MySQL has no ADD COLUMN IF NOT EXISTS; both columns come in one statement, or neither."""
    statement = sql("extend_upgrade_lock").upper()
    assert "EXISTS" not in statement
    assert (statement.count("ALTER TABLE"), statement.count("ADD COLUMN")) == (1, 2)
    assert statement.count("NOT NULL DEFAULT ''") == 2, "an earlier version names neither column"
