"""Run real migrations against a held lock, a half-done schema, and a killed task's container."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data
from keystone_rollout.domain.run.events import (
    BackupTaken,
    Judged,
    LocksWatched,
    Planned,
    VariableChanged,
)
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.hooks.database.keystone import KeystoneDatabase
from keystone_rollout.hooks.database.variables import FunctionCreators, ReadCommitted
from keystone_rollout.hooks.docker.container import (
    LABEL_CLOUD,
    LABEL_COMMAND,
    PhaseContainer,
    PhaseContainerError,
)
from keystone_rollout.hooks.docker.image import UpgradeImage
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.run import RolloutRun
from operators.keystone_manage import ImageCheckOperator
from operators.migrate_schema import PhaseOperator
from operators.saved_variable_control import (
    ResetFunctionCreatorsOperator,
    ResetIsolationOperator,
    SetReadCommittedOperator,
)

pytestmark = pytest.mark.lab

LOCK_WAIT = 2
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cloud(fresh_lab: object, lab_connections: None) -> Cloud:
    """Return the lab's cloud with a limit that makes tests quick."""
    data = load_cloud("lab").model_dump(by_alias=True)
    data["limits"]["lock_wait_timeout"] = LOCK_WAIT
    return cloud_from_data(data)


@pytest.fixture
def run(cloud: Cloud, tmp_path: Path) -> RolloutRun:
    run = RolloutRun(cloud, RunDirectory("guard", tmp_path), "expand")
    run.directory.record(Planned(migrations=UpgradeImage(cloud).migrations()))
    run.directory.record(BackupTaken(path="/srv/backups/verified.sql", bytes=1))
    return run


@pytest.fixture
def engine(cloud: Cloud) -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    for container in client.containers.list(
        all=True, filters={"label": f"{LABEL_CLOUD}={cloud.name}"}
    ):
        container.remove(force=True)


def expand() -> PhaseOperator:
    return PhaseOperator(task_id="expand", phase="expand")


@contextmanager
def open_transaction(cloud: Cloud, table: str) -> Iterator[Any]:
    """Read a table in a transaction that is not ended: its metadata lock is held."""
    connection = KeystoneDatabase(cloud).administrator.get_conn()
    cursor = connection.cursor()
    cursor.execute(f"SELECT COUNT(*) FROM {cloud.databases.schema_name}.{table}")  # noqa: S608
    cursor.fetchall()
    try:
        yield connection
    finally:
        connection.close()


def query_once_something_waits(cloud: Cloud, seconds: list[float]) -> None:
    """Be a client: read the table as soon as the migration queues for it."""
    database = KeystoneDatabase(cloud)
    question = "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting%'"
    wait_until(lambda: database.administrator.get_first(question)[0] > 0)
    began = time.monotonic()
    database.reader.get_first("SELECT COUNT(*) FROM trust")
    seconds.append(time.monotonic() - began)


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the moment never came"
        time.sleep(0.05)


def test_a_migration_behind_a_held_lock_gives_up_and_lets_clients_through(
    run: RolloutRun, engine: docker.DockerClient
) -> None:
    cloud, waited = run.cloud, list[float]()
    client = threading.Thread(target=query_once_something_waits, args=(cloud, waited))
    with open_transaction(cloud, "trust") as holder:
        client.start()
        with pytest.raises(AirflowFailException) as caught:
            expand().run_phase(run, {})
        client.join()
        message = str(caught.value)
        assert f"lock_wait_timeout {LOCK_WAIT} s" in message
        assert "Nothing is queued any more" in message
        assert "All nodes still serve the old release" in message
        assert f"(KILL {holder.connection_id})" in message
        assert "start the upgrade again: it goes on where it stopped" in message
        stuck = KeystoneDatabase(cloud).versions()
    assert waited[0] < LOCK_WAIT + 1
    event = run.directory.last(LocksWatched)
    assert event is not None
    assert event.most_waiting == 2
    assert LOCK_WAIT - 1 <= event.longest_seconds <= LOCK_WAIT + 2
    assert any(statement.startswith("ALTER TABLE trust") for statement in event.statements)
    expand().run_phase(run, {})
    assert run.state(stuck).pending(Phase.EXPAND)
    assert run.state(KeystoneDatabase(cloud).versions()).is_done(Phase.EXPAND)
    assert engine.containers.list(all=True, filters={"name": PhaseContainer(cloud).name}) == []


def test_a_schema_that_holds_a_part_of_a_migration_is_recognised(run: RolloutRun) -> None:
    database = KeystoneDatabase(run.cloud)
    database.administrator.run(
        f"ALTER TABLE {database.schema}.trust ADD expires_at_int BIGINT", autocommit=True
    )
    with pytest.raises(AirflowFailException) as caught:
        expand().run_phase(run, {})
    message = str(caught.value)
    assert (
        "Error 1060: Duplicate column name 'expires_at_int'. The phase was interrupted" in message
    )
    assert "the schema holds a part of migration 032_" in message
    assert "restore the verified backup /srv/backups/verified.sql" in message


def kill_in_the_middle(cloud: Cloud, folder: Path) -> None:
    """Run expand in a task of its own, and kill it as SIGKILL does while its container runs."""
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from keystone_rollout.procedures.run.run import RolloutRun\n"
        "from keystone_rollout.hooks.files.run_directory import RunDirectory\n"
        "from operators.migrate_schema import PhaseOperator\n"
        "from keystone_rollout.domain.cloud.model import cloud_from_data\n"
        "cloud = cloud_from_data(json.load(sys.stdin))\n"
        "run = RolloutRun(cloud, RunDirectory('guard', Path(sys.argv[1])), 'expand')\n"
        "PhaseOperator(task_id='expand', phase='expand').run_phase(run, {})\n"
    )
    path = f"{ROOT / 'plugins'}{os.pathsep}{ROOT}"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(cloud.model_dump(by_alias=True)).encode())
    process.stdin.close()
    waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting%'"
    admin = KeystoneDatabase(cloud).administrator
    wait_until(lambda: process.poll() is not None or admin.get_first(waiting)[0] > 0)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_tasks_container_is_waited_for_and_leaves_no_secret(
    run: RolloutRun, engine: docker.DockerClient, tmp_path: Path
) -> None:
    cloud = run.cloud
    password = KeystoneDatabase(cloud).reader.get_connection(cloud.databases.keystone).password
    with open_transaction(cloud, "trust"):
        kill_in_the_middle(cloud, tmp_path)
        container = engine.containers.get(PhaseContainer(cloud).name)
        assert container.status == "running"
        assert container.labels[LABEL_COMMAND] == "db_sync --expand"
        assert password
        assert password not in json.dumps(container.attrs)
        assert password not in json.dumps(container.top())
        found = PhaseContainer(cloud).wait_for_earlier()
    assert "(db_sync --expand) of an earlier attempt was waited for" in found
    assert "exit status 1" in found
    assert PhaseContainer(cloud).wait_for_earlier() == f"no earlier container of cloud {cloud.name}"
    expand().run_phase(run, {})
    assert run.state(KeystoneDatabase(cloud).versions()).is_done(Phase.EXPAND)


def leave_container(cloud: Cloud, engine: docker.DockerClient, script: str, start: bool) -> None:
    phase = PhaseContainer(cloud)
    container = engine.containers.create(
        cloud.upgrade_container.image,
        ["sh", "-c", script],
        name=phase.name,
        labels=phase.labels(["db_sync", "--migrate"]),
        network_mode="none",
        stop_signal="SIGKILL",
    )
    if start:
        container.start()


@pytest.mark.parametrize(
    ("script", "start", "found"),
    [
        ("true", False, "was never started; removed"),
        (
            "echo '2026-03-01 10:00:00.200 7 ERROR keystone boom'; exit 3",
            True,
            "exit status 3, 1 error line(s); removed",
        ),
        ("sleep 2", True, "exit status 0, 0 error line(s); removed"),
    ],
    ids=["created", "failed", "running"],
)
def test_every_earlier_container_is_settled(
    cloud: Cloud, engine: docker.DockerClient, script: str, start: bool, found: str
) -> None:
    leave_container(cloud, engine, script, start)
    assert found in PhaseContainer(cloud).wait_for_earlier()
    assert engine.containers.list(all=True, filters={"name": PhaseContainer(cloud).name}) == []


def test_a_container_that_does_not_end_is_left_and_nothing_is_started(
    cloud: Cloud, engine: docker.DockerClient
) -> None:
    data = cloud.model_dump(by_alias=True)
    data["limits"]["phase_seconds"] = 1
    leave_container(cloud, engine, "sleep 60", start=True)
    with pytest.raises(PhaseContainerError, match=r"limit 1 s \(limits.phase_seconds\)") as caught:
        PhaseContainer(cloud_from_data(data)).wait_for_earlier()
    assert "still runs: measured" in str(caught.value)
    assert "nothing was started" in str(caught.value)
    assert engine.containers.get(PhaseContainer(cloud).name).status == "running"


def test_a_phase_that_takes_too_long_is_not_cut_in_two(
    run: RolloutRun, engine: docker.DockerClient
) -> None:
    data = run.cloud.model_dump(by_alias=True)
    data["limits"].update(phase_seconds=3, lock_wait_timeout=30)
    slow = RolloutRun(cloud_from_data(data), run.directory, "expand")
    with open_transaction(run.cloud, "trust"):
        with pytest.raises(AirflowFailException) as caught:
            expand().run_phase(slow, {})
        assert engine.containers.get(PhaseContainer(run.cloud).name).status == "running"
    assert "measured more than 3 s, the limit (limits.phase_seconds)" in str(caught.value)
    assert "It is left running in container keystone-rollout-phase-" in str(caught.value)
    assert "exit status 0" in PhaseContainer(run.cloud).wait_for_earlier()
    assert run.state(KeystoneDatabase(run.cloud).versions()).is_done(Phase.EXPAND)


def test_what_changes_no_schema_is_stopped_at_the_limit(
    run: RolloutRun, engine: docker.DockerClient
) -> None:
    data = run.cloud.model_dump(by_alias=True)
    data["limits"]["phase_seconds"] = 1
    data["upgrade_container"]["command"] = ["sh", "-c", "exec sleep 60"]
    slow = RolloutRun(cloud_from_data(data), run.directory, "doctor")
    with pytest.raises(AirflowFailException, match="doctor has not ended: measured more than 1 s"):
        ImageCheckOperator(task_id="doctor", check="doctor").keystone_manage(slow, {})
    assert engine.containers.list(all=True, filters={"name": PhaseContainer(run.cloud).name}) == []


def test_a_container_of_somebody_else_is_neither_joined_nor_removed(
    run: RolloutRun, engine: docker.DockerClient
) -> None:
    leave_container(run.cloud, engine, "sleep 60", start=False)
    with pytest.raises(AirflowFailException, match="is already in use by container"):
        expand().keystone_manage(run, {})
    assert engine.containers.get(PhaseContainer(run.cloud).name).status == "created"


@pytest.mark.parametrize(("seconds", "settled"), [(2, True), (60, False)])
def test_a_variable_outlives_the_migration_that_needs_it_but_not_for_ever(
    run: RolloutRun, engine: docker.DockerClient, seconds: int, settled: bool
) -> None:
    data = run.cloud.model_dump(by_alias=True)
    data["limits"] |= {"phase_seconds": 4, "teardown_seconds": 6}
    bounded = RolloutRun(cloud_from_data(data), run.directory, "restore_function_creators")
    creators = FunctionCreators(run.cloud)
    original = creators.set("killed run")
    leave_container(run.cloud, engine, f"sleep {seconds}", start=True)
    began = time.monotonic()
    with nullcontext() if settled else pytest.raises(AirflowFailException, match="still runs"):
        ResetFunctionCreatorsOperator(task_id="restore").run_step(bounded, {})
    assert time.monotonic() - began > 1
    assert creators.value() == original
    assert creators.original() is None


def test_the_isolation_is_left_alone_where_the_hop_does_not_need_it(run: RolloutRun) -> None:
    isolation = ReadCommitted(run.cloud)
    before = isolation.value()
    SetReadCommittedOperator(task_id="set").run_step(run, {})
    ResetIsolationOperator(task_id="restore").run_step(run, {})
    assert isolation.value() == before
    assert run.directory.events(VariableChanged) == []


@pytest.mark.parametrize("kind", [FunctionCreators, ReadCommitted])
def test_a_variable_is_held_and_its_first_original_restored(
    cloud: Cloud, kind: type[FunctionCreators | ReadCommitted]
) -> None:
    variable = kind(cloud)
    original = variable.value()
    assert original != variable.wanted
    assert not variable.judge().ok
    assert variable.set("first") == original
    assert variable.judge().ok
    assert variable.set("second") == original
    assert variable.reset() == original
    assert variable.value() == original
    assert variable.reset() is None


def test_read_committed_is_not_set_where_every_write_would_fail(cloud: Cloud) -> None:
    isolation = ReadCommitted(cloud)
    original = isolation.value()
    isolation.admin.run("SET GLOBAL binlog_format = 'STATEMENT'", autocommit=True)
    try:
        with pytest.raises(RuntimeError, match="measured binlog_format STATEMENT, allowed are"):
            isolation.set("run")
    finally:
        isolation.admin.run("SET GLOBAL binlog_format = DEFAULT", autocommit=True)
    assert isolation.value() == original
    assert isolation.original() is None


def test_a_database_that_goes_away_meanwhile_is_not_taken_for_a_quiet_one(run: RolloutRun) -> None:
    """Every session is killed while expand waits: the watch's own is one of them."""
    admin = KeystoneDatabase(run.cloud).administrator

    def end_sessions() -> None:
        waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting%'"
        wait_until(lambda: admin.get_first(waiting)[0] > 0)
        others = "SELECT id FROM information_schema.processlist WHERE user <> 'system user'"
        for (session,) in admin.get_records(f"{others} AND id <> CONNECTION_ID()"):
            with suppress(Exception):  # it may have ended by itself
                admin.run(f"KILL {session}", autocommit=True)

    fault = threading.Thread(target=end_sessions)
    with open_transaction(run.cloud, "trust"):
        fault.start()
        with pytest.raises(AirflowFailException, match="expand failed: measured keystone_expand"):
            expand().run_phase(run, {})
        fault.join()
    gate = run.directory.last(Judged)
    assert gate is not None
    assert gate.gate == "after expand"
    (verdict,) = gate.verdicts
    assert not verdict.ok
    assert verdict.measured.startswith("not measured to the end: poll")


def test_an_administrator_who_sees_no_other_session_does_not_watch(run: RolloutRun) -> None:
    data = run.cloud.model_dump(by_alias=True)
    data["databases"]["administrator"] = data["databases"]["keystone"]
    before = KeystoneDatabase(run.cloud).versions()
    with pytest.raises(AirflowFailException, match="measured no PROCESS privilege, needed is"):
        expand().run_phase(RolloutRun(cloud_from_data(data), run.directory, "expand"), {})
    assert KeystoneDatabase(run.cloud).versions() == before
