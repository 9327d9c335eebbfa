"""Whatever takes engine or container away in mid-phase: how the schema stands is read and said."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from docker.errors import APIError, NotFound
from requests.exceptions import ConnectionError as EngineGone
from requests.exceptions import ReadTimeout

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data
from keystone_rollout.domain.run.events import Planned, VersionsRead
from keystone_rollout.domain.schema.lock_waits import LockWaits
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.run.run import RolloutRun
from operators.keystone_manage import ImageCheckOperator, OutcomeUnknown, _limited
from operators.migrate_schema import PhaseOperator
from tests.stand_ins.failing_engine import FailingEngine
from tests.stand_ins.image_listings import image_of, numbers
from tests.stand_ins.systems import run_with

BEFORE, PART, DONE = numbers(40, 40, 20), numbers(42, 40, 20), numbers(44, 40, 20)
ERRORS = [
    NotFound("No such container: c1"),
    APIError("500 Server Error"),
    EngineGone("Connection aborted."),
    ReadTimeout("UnixHTTPConnectionPool: Read timed out. (read timeout=60)"),
    AirflowException("Failed to establish connection to any given Docker hosts."),
]
BEGUN = ["stream", "wait", "inspect", "remove"]
"""Calls after which the command is at work, or was."""


class PlayedSchema:
    """A schema that stands at one version before the phase, and at another one after it."""

    def __init__(self, after: RecordedVersions | Exception) -> None:
        self.after = after
        self.begun = False
        self.waits = LockWaits("expand", 5)

    def versions(self) -> RecordedVersions:
        if not self.begun:
            self.begun = True
            return BEFORE
        if isinstance(self.after, Exception):
            raise self.after
        return self.after

    def triggers(self) -> int:
        return 3

    def watch_locks(self, _phase: str, _seconds: int) -> PlayedSchema:
        return self

    def __enter__(self) -> PlayedSchema:
        return self

    def __exit__(self, *_error: object) -> None:
        self.waits.polls = 1


def run_of(folder: Path, engine: FailingEngine, schema: PlayedSchema, cloud: Cloud) -> RolloutRun:
    phase = SimpleNamespace(arguments=["--config-dir", "x"], archive=b"", lock_wait_timeout=5)
    run = run_with(
        cloud, folder, engine=engine, schema_of=lambda _target: schema,
        configuration=SimpleNamespace(phase=lambda _target: phase),
    )  # fmt: skip
    run.directory.record(Planned(migrations=image_of("13.0.4")))
    return run


def lost(folder: Path, engine: FailingEngine, after: RecordedVersions | Exception) -> str:
    """Run expand, which has to fail; return why."""
    run = run_of(folder, engine, PlayedSchema(after), load_cloud("lab"))
    with pytest.raises(AirflowFailException) as caught:
        PhaseOperator(task_id="expand", phase="expand").run_phase(run, {})
    if isinstance(after, RecordedVersions):
        read = run.directory.last(VersionsRead)
        assert read is not None
        assert read.versions["expand"] == str(after.repositories["keystone_expand"])
    return str(caught.value)


@pytest.mark.parametrize("away", [False, True], ids=["for a moment", "for good"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("call", ["images", "create", "attach", "put_archive", "start", *BEGUN])
def test_at_every_call_the_schemas_state_is_read_and_said(
    tmp_path: Path, call: str, error: Exception, away: bool
) -> None:
    engine = FailingEngine(load_cloud("lab"), call, error, away)
    text = lost(tmp_path, engine, PART if call in BEGUN else BEFORE)
    known = (
        "db_sync --expand could not be run in container keystone-rollout-phase-lab"
        if call in ("images", "create")
        else "how db_sync --expand ended in container keystone-rollout-phase-lab is not known"
    )
    assert text.startswith(f"{known}: Docker at unix://var/run/docker.sock answers ")
    assert str(error).partition(":")[0] in text
    assert ("limits.answer_seconds" in text) is isinstance(error, ReadTimeout)
    assert "migrate_version shows 4" in text
    assert "(heads 44/44/44)" in text
    if call in BEGUN:
        assert "shows 42/40/20" in text
        assert "expand is half done: 2 of 4 migrations are missing, and migration 043" in text
    else:
        assert "expand has not begun, as far as is recorded, and migration 041" in text
    assert "All nodes still serve the old release. Next: repair that, then start" in text
    assert "it waits for the container if that still runs, then runs what is missing" in text


def test_a_phase_that_came_to_its_end_unseen_is_said_to_be_complete(tmp_path: Path) -> None:
    text = lost(tmp_path, FailingEngine(load_cloud("lab"), "wait", EngineGone("gone")), DONE)
    assert "shows 44/40/20 (heads 44/44/44): expand is complete. All nodes still serve" in text
    assert "finds expand done and goes on" in text


def test_a_schema_that_nobody_can_place_is_said_to_be_so(tmp_path: Path) -> None:
    text = lost(
        tmp_path, FailingEngine(load_cloud("lab"), "wait", EngineGone("gone")), numbers(99, 40, 20)
    )
    assert "keystone_expand stands at 99, past the image's head 44" in text


def test_a_database_that_is_gone_too_is_said_to_be_so(tmp_path: Path) -> None:
    engine = FailingEngine(load_cloud("lab"), "wait", EngineGone("gone"))
    text = lost(tmp_path, engine, RuntimeError("database 127.0.0.1:1 did not answer"))
    assert "How far expand is is not known: the schema versions cannot be read (database" in text
    assert "Next: bring the database back; repair that, then start the upgrade again" in text


def test_a_container_that_ended_unseen_is_left_for_the_next_start(tmp_path: Path) -> None:
    """Its log and its exit status are read then; one that was never started is of no use."""
    engine = FailingEngine(load_cloud("lab"), "wait", EngineGone("gone"))
    lost(tmp_path, engine, DONE)
    assert engine.status == "running"
    engine = FailingEngine(load_cloud("lab"), "start", EngineGone("gone"))
    lost(tmp_path, engine, BEFORE)
    assert engine.status is None


class Endless(FailingEngine):
    """An engine whose container does not come to an end."""

    def wait(self, _container: str, **_options: Any) -> dict[str, int]:
        self._call("wait")
        SYSTEM_CLOCK.sleep(30)
        raise AssertionError("it was waited for without an end")

    def stop(self, _container: str) -> None:
        self._call("stop")
        self.status = "exited"


def short() -> Cloud:
    data = load_cloud("lab").model_dump(by_alias=True)
    data["limits"]["phase_seconds"] = 1
    return cloud_from_data(data)


def test_a_phase_that_does_not_end_is_left_at_work_and_the_schemas_state_is_said(
    tmp_path: Path,
) -> None:
    engine = Endless(short())
    run = run_of(tmp_path, engine, PlayedSchema(PART), short())
    with pytest.raises(AirflowFailException) as caught:
        PhaseOperator(task_id="expand", phase="expand").run_phase(run, {})
    text = str(caught.value)
    assert "measured more than 1 s, the limit (limits.phase_seconds). It is left running" in text
    assert "expand is half done: 2 of 4 migrations are missing" in text
    assert engine.status == "running"
    assert "stop" not in engine.calls


@pytest.mark.parametrize("away", ["", "stop"])
def test_a_check_that_does_not_end_is_stopped_if_the_engine_lets_us(
    tmp_path: Path, away: str
) -> None:
    engine = Endless(short(), away, EngineGone("gone"))
    run = run_of(tmp_path, engine, PlayedSchema(PART), short())
    with pytest.raises(OutcomeUnknown, match=r"limits.phase_seconds\). It was stopped. Next: find"):
        ImageCheckOperator(task_id="doctor", check="doctor").keystone_manage(run, {})
    assert engine.calls[-1] == "remove"


@pytest.fixture
def alarm() -> Iterator[list[int]]:
    """Set the alarm of a task with an execution limit; return what it has told."""
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: heard.append(number))
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    yield heard
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_tasks_own_limit_holds_after_a_phases(alarm: list[int]) -> None:
    with _limited(60, SYSTEM_CLOCK):
        pass
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1.5
    SYSTEM_CLOCK.sleep(2)
    assert alarm == [signal.SIGALRM]
