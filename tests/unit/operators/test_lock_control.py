"""Whoever takes a lock cleans up what killed runs left, and says what is lost with a machine."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.run.events import LockChanged, LockState
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.docker.container import PhaseContainer
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.run import RolloutRun
from operators import lock_control
from operators.lock_control import ReleaseLockOperator, TakeLockOperator
from operators.saved_variable_control import (
    ResetFunctionCreatorsOperator,
    ResetIsolationOperator,
)
from tests.stand_ins.set_clock import SetClock
from tests.stand_ins.systems import run_with

DEAD, NEW = "manual__2026-01-02", "manual__2026-01-03"
SERVER = "db.example.org:3306"
CREATORS, ISOLATION = "log_bin_trust_function_creators", "transaction_isolation"


class Database:
    """The server as a lost run left it: its lock, its saved variables, its mark."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lock: list[Any] = [DEAD, "lost-host:/airflow", "2026-01-02 03:04:05", 4000, "a"]
        self.values = {CREATORS: "ON", ISOLATION: "READ-COMMITTED"}
        self.saved = {CREATORS: "0"}
        self.marks = [("keystone-2", DEAD, "a1", "2026-01-02 03:10:00")]
        self.broken: Exception | None = None
        monkeypatch.setattr(MySqlHook, "get_records", lambda _, *asked: self.answer(*asked))
        monkeypatch.setattr(MySqlHook, "get_first", lambda _, *asked: self.first(*asked))
        monkeypatch.setattr(MySqlHook, "run", lambda _, text, **options: self.run(text, **options))

    def first(self, question: str, parameters: Any = None) -> Any:
        return next(iter(self.answer(question, parameters)), None)

    def answer(self, question: str, parameters: Any = None) -> list[Any]:
        if question == sql("select_rollout_columns"):
            return [("token",)]
        if question == sql("select_upgrade_lock"):
            run_id, place, since, silent, token = self.lock or [""] * 5
            row = (silent, "lab", run_id, place, since, since, "keystone_upgrade", token)
            return [row] if self.lock else []
        if self.broken is not None:
            raise self.broken
        if question == sql("select_server_identity"):
            return [(SERVER,)]
        if question == sql("select_servers_out"):
            return self.marks
        name = parameters["name"]
        if question == sql("show_global_variable"):
            return [(name, self.values[name])] if name in self.values else []
        assert question == sql("select_saved_variable")
        return [(self.saved[name],)] if name in self.saved else []

    def run(self, statement: str, parameters: Any = None, **_options: Any) -> None:
        if statement == sql("break_upgrade_lock"):
            assert parameters["broken"] == self.lock[0]
            self.lock = [parameters["run_id"], parameters["place"], "2026-01-03 00:00:00", 0,
                         parameters["token"]]  # fmt: skip
        elif statement == sql("delete_upgrade_lock"):
            self.lock = []
        elif statement == sql("delete_saved_variable"):
            del self.saved[parameters["name"]]
        elif statement.startswith("SET GLOBAL "):
            self.values[statement.split()[2]] = str(parameters["value"])
        else:
            assert statement == sql("update_lock_heartbeat")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    monkeypatch.setattr(PhaseContainer, "wait_for_earlier", lambda _: "no earlier container")
    return tmp_path


@pytest.fixture
def database(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    return Database(monkeypatch)


def execute(operator: Any, break_lock: str = "") -> Any:
    task = operator(task_id="a_task")
    instance = SimpleNamespace(task_id="a_task", dag_id="keystone_upgrade", run_id=NEW)
    params = {"cloud": "lab", "break_lock": break_lock}
    return task.execute({"params": params, "run_id": NEW, "ti": instance})


def said() -> list[str]:
    event = RunDirectory(NEW).last(LockChanged)
    assert event is not None
    assert (event.state, event.of) == (LockState.BROKEN, DEAD)
    return list(event.done)


def test_without_the_dead_runs_name_nothing_is_taken_over(database: Database) -> None:
    with pytest.raises(
        AirflowFailException,
        match=r"held by run .* at lost-host",
    ):
        execute(TakeLockOperator)


def test_another_airflow_takes_over_and_says_what_is_not_known(
    database: Database, runs: Path
) -> None:
    assert not (runs / DEAD).exists()
    assert execute(TakeLockOperator, break_lock=DEAD) == DEAD
    assert database.lock[0] == NEW
    assert not (runs / DEAD).exists(), "a folder would be taken for its record"
    record, migration, variables, servers, backup, load, writes, container = said()
    assert record.startswith(f"run {DEAD} left no record on this machine; its load, if any, may")
    assert "whether a migration of it is still at work at lost-host:/airflow" in migration
    assert "Next: make sure that this machine is off" in migration
    assert f"{CREATORS}: known, it was 0 before (saved in the database) and is 1" in variables
    assert f"{ISOLATION}: no value is saved in the database, so READ-COMMITTED stays" in variables
    assert servers == "servers that it took out: known by their marks in the database: keystone-2"
    assert f"missing: its backup {DEAD}.sql, if it made one, is not in " in backup
    assert "Next: copy it, with its .json, from lost-host:/airflow" in backup
    assert load.startswith(
        "gone: its baseline and its load samples. The next baseline is of the cloud"
    )
    assert "gone: its ledger of acknowledged writes" in writes
    assert "named load-" in writes
    assert container == "no earlier container"


def test_its_variables_are_reset_at_this_runs_end(database: Database) -> None:
    execute(TakeLockOperator, break_lock=DEAD)
    execute(ResetFunctionCreatorsOperator)
    execute(ResetIsolationOperator)
    execute(ReleaseLockOperator)
    assert database.values == {CREATORS: "0", ISOLATION: "READ-COMMITTED"}
    assert database.saved == {}
    assert database.lock == []


@pytest.mark.parametrize(("away", "reset_after"), [(0.0, 0.0), (60.0, 60.0), (1e9, 300.0)])
def test_a_variable_is_reset_once_docker_has_said_that_no_migration_runs(
    tmp_path: Path, away: float, reset_after: float
) -> None:
    clock, done = SetClock(), []

    def wait_for_earlier() -> str:
        if clock.elapsed() < away:
            raise RuntimeError("Docker does not answer")
        return "no earlier container"

    variable = SimpleNamespace(
        name=CREATORS, value=lambda: "0", reset=lambda: done.append(clock.elapsed())
    )
    container = SimpleNamespace(wait_for_earlier=wait_for_earlier)
    run = run_with(
        load_cloud("lab"), tmp_path, clock=clock, engine=SimpleNamespace(container=container),
        variables=SimpleNamespace(function_creators=variable),
    )  # fmt: skip
    task = ResetFunctionCreatorsOperator(task_id="restore_function_creators")
    known = (
        nullcontext() if reset_after == away else pytest.raises(AirflowFailException, match="Dock")
    )
    with known:
        task.run_step(run, {})
    assert done == [reset_after]


def test_what_cannot_be_read_is_not_known_and_stops_nothing(database: Database) -> None:
    database.broken = RuntimeError("Lost connection")
    assert execute(TakeLockOperator, break_lock=DEAD) == DEAD
    assert "its variables: not known, because it cannot be read (Lost connection)" in said()
    assert "its servers: not known, because it cannot be read (Lost connection)" in said()


def test_a_backup_that_is_here_is_not_missing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "keystone_rollout.hooks.files.backups.project_path", lambda _: tmp_path / "backups"
    )
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / f"{DEAD}.sql").touch()
    execute(TakeLockOperator, break_lock=DEAD)
    assert f"its backup is here: {DEAD}.sql in {tmp_path / 'backups'}" in said()


def test_of_a_run_whose_record_is_here_nothing_is_said_to_be_gone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.lock[4] = RunDirectory(DEAD, dag="keystone_upgrade").identity().token
    execute(TakeLockOperator, break_lock=DEAD)
    assert not [text for text in said() if "gone" in text or "not known" in text]


@pytest.mark.parametrize(("dead", "state"), [("", LockState.TAKEN), ("night", LockState.BROKEN)])
def test_unfinished_files_are_removed_with_or_without_a_lock_to_break(
    dead: str, state: LockState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path / "runs"))
    broken = LockHolder("night", "there:/airflow", "now", 900, token="n1") if dead else None
    monkeypatch.setattr(lock_control, "hold_lock", lambda run, gate: broken)
    container = SimpleNamespace(wait_for_earlier=lambda: "no container")
    cloud = load_cloud("lab").model_copy(update={"backup_directory": str(tmp_path), "name": "x"})
    run = run_with(cloud, tmp_path / "runs", engine=SimpleNamespace(container=container))
    left = tmp_path / "dump.sql.1.part"
    left.touch()
    instance = SimpleNamespace(dag_id="keystone_upgrade")
    assert TakeLockOperator(task_id="take_lock").run_step(run, {"ti": instance}) == dead
    assert not left.exists()
    (event,) = run.directory.events(LockChanged)
    assert (event.state, event.of) == (state, dead)


def test_a_step_whose_beginning_and_end_cannot_be_noted_is_done(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    run = RolloutRun(load_cloud("lab"), RunDirectory("run", tmp_path / "runs"), "restore")
    done = []
    with run.step("restore_function_creators"):
        done.append("restored")
    assert done == ["restored"]
