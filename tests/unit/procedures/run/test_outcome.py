"""How a run ended is told once, before the report, which says who could not be told."""

from __future__ import annotations

import errno
import inspect
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.notifications import Notification
from keystone_rollout.domain.run.events import DagNamed, Event, Judged, Notified, Reported
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.event_log import EventLog
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.end import end_safely
from keystone_rollout.procedures.run.outcome import (
    end_with_report,
    tell_approval_needed,
    tell_started,
    topic,
)
from keystone_rollout.procedures.run.report import EndNotRecorded
from keystone_rollout.procedures.run.run import RolloutRun
from operators.approve_contract import ApproveContractOperator
from operators.lock_control import TakeLockOperator
from tests.free_port import free_port
from tests.local_receivers import Webhook, webhook

GAP = Verdict(False, "load gap", "locust", "12 s", "at most 10 s", "it stops", "look at HAProxy")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with webhook() as server:
        point(monkeypatch, server.address)
        yield server


def point(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Let connection `chat` lead to an address of this machine."""
    connection = {"conn_type": "slackwebhook", "host": f"http://{address}", "password": "token-1"}
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(connection))


@pytest.fixture
def cloud() -> Cloud:
    entry = Notification(via="slack", connection="chat")
    return load_cloud("lab", "12.0.3", "13.0.4").model_copy(update={"notifications": [entry]})


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory("run-1", tmp_path)


def texts(receiver: Webhook) -> list[str]:
    return [posted["text"] for _path, posted in receiver.posted]


def events(directory: RunDirectory) -> list[tuple[Any, ...]]:
    return [(each.happening, each.state) for each in directory.events(Notified)]


def test_a_halt_is_told_with_its_verdict_and_only_what_is_new_after_a_resumption(
    receiver: Webhook, cloud: Cloud, directory: RunDirectory
) -> None:
    directory.record(Judged(gate="before keystone-1", verdicts=[GAP]))
    directory.record(DagNamed(dag="keystone_upgrade"))
    path = end_with_report(cloud, directory, "failed", ["nodes.upgrade_first_node"])
    (text,) = texts(receiver)
    assert str(GAP) in text
    assert f"Report: {path}" in text
    time.sleep(0.01)  # events are kept to the millisecond
    slow = Verdict(False, "p99", "locust", "9 s", "1 s")
    directory.record(Judged(gate="before keystone-2", verdicts=[slow]))
    end_with_report(cloud, directory, "failed", ["nodes.upgrade_node"])
    again = texts(receiver)[1]
    assert "FAILED p99 (locust): measured 9 s, limit 1 s" in again
    assert "load gap" not in again
    assert events(directory) == [("halted", "sent")] * 2


def test_one_that_cannot_be_delivered_is_a_deviation_in_the_report(
    cloud: Cloud, directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(monkeypatch, f"127.0.0.1:{free_port()}")
    path = end_with_report(cloud, directory, "failed", ["plan"])
    assert events(directory) == [("halted", "failed")]
    page = path.read_text(encoding="utf-8")
    assert "by slack (connection chat) could not be delivered: URLError" in page
    assert "the run went on" in page
    assert json.loads(path.with_name("report.json").read_text())["state"] == "failed"


def test_what_a_good_end_is_called_depends_on_the_dag(
    receiver: Webhook, cloud: Cloud, directory: RunDirectory
) -> None:
    for dag in ("keystone_upgrade", "keystone_rollback", "keystone_restore"):
        directory.record(DagNamed(dag=dag))
        end_with_report(cloud, directory, "succeeded", [])
    assert [happening for happening, _state in events(directory)] == [
        "finished",
        "rolled_back",
        "finished",
    ]
    assert "[lab] Keystone rolled back: 13.0.4 (Queens) → 12.0.3 (Pike)" in (
        texts(receiver)[1].replace("&gt;", ">")
    )


def test_without_a_readable_cloud_file_there_is_a_report_and_nobody_is_told(
    receiver: Webhook, directory: RunDirectory
) -> None:
    assert end_with_report(None, directory, "failed", ["plan"]).exists()
    assert receiver.posted == []


def test_a_report_that_cannot_be_written_is_told_and_fails(
    receiver: Webhook, cloud: Cloud, directory: RunDirectory
) -> None:
    (directory.path / "report.html").mkdir()
    with pytest.raises(IsADirectoryError):
        end_with_report(cloud, directory, "succeeded", [])
    assert [happening for happening, _state in events(directory)] == ["finished", "halted"]
    assert "the report could not be written: " in texts(receiver)[1]
    assert [each.state for each in directory.events(Reported)] == ["failed"], (
        "it ended all the same"
    )


def test_a_resumed_run_that_does_not_end_safely_is_told_as_halted(
    receiver: Webhook, cloud: Cloud, directory: RunDirectory
) -> None:
    once = cloud.limits.model_copy(update={"teardown_seconds": 0})
    run = RolloutRun(cloud.model_copy(update={"limits": once}), directory, "upgrade_succeeded")
    with pytest.raises(RuntimeError, match="the run did not end safely"):
        end_safely(run, "succeeded", [])  # there is no connection to any database here
    (text,) = texts(receiver)
    assert "HALTED" in text
    assert "end log_bin_trust_function_creators: " in text
    assert "... and 1 more in the report" in text
    assert json.loads((directory.path / "report.json").read_text())["state"] == "failed"


def test_start_and_question_are_told(
    receiver: Webhook, cloud: Cloud, directory: RunDirectory
) -> None:
    run = RolloutRun(cloud, directory, "task")
    tell_started(run, "keystone_restore", "dead-1")
    tell_approval_needed(run, "* verified backup: /b/1.sql")
    first, second = texts(receiver)
    assert "Keystone restore started" in first
    assert "takes over from run dead-1" in first
    assert "* verified backup: /b/1.sql" in second
    assert events(directory) == [("started", "sent"), ("approval_needed", "sent")]


class SettledLock(TakeLockOperator):
    """Find nothing at work in the cloud."""

    def _clean_up(self, run: RolloutRun, broken: LockHolder | None) -> str:
        return broken.run_id if broken else ""


def test_the_task_that_has_the_lock_tells_the_start(
    receiver: Webhook, cloud: Cloud, directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The lock itself is in a database that unit tests do not have.
    monkeypatch.setattr("operators.lock_control.hold_lock", lambda run, gate: None)
    run = RolloutRun(cloud, directory, "take_lock")
    context = {"ti": SimpleNamespace(dag_id="keystone_rollback")}
    assert SettledLock(task_id="take_lock").run_step(run, context) == ""
    (text,) = texts(receiver)
    assert text.startswith("[lab] Keystone rollback started: 13.0.4")


def test_the_task_that_asks_tells_it_before_it_waits() -> None:
    source = inspect.getsource(ApproveContractOperator.execute)
    assert 0 < source.find("tell_approval_needed(run, self.body)") < source.find("super().execute")


def test_the_runs_page_is_named_where_airflow_knows_its_own_address(
    cloud: Cloud, directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert topic(cloud, directory, "keystone_upgrade").page == ""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.test/")
    assert topic(cloud, RunDirectory("a+b", directory.path), "keystone_upgrade").page == (
        "https://airflow.test/dags/keystone_upgrade/runs/a%2Bb"
    )


def full_after(events: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a disk take so many events, and no more."""
    append, taken = EventLog._append, []

    def refuse(self: EventLog, event: Event) -> None:
        taken.append(event)
        if len(taken) > events:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, event)

    monkeypatch.setattr(EventLog, "_append", refuse)


def test_a_run_whose_record_lacks_events_is_not_told_as_a_good_one(
    receiver: Webhook, cloud: Cloud, directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_after(0, monkeypatch)
    directory.record(DagNamed(dag="keystone_upgrade"))
    with pytest.raises(EndNotRecorded, match=r"takes no event\. Next: make that folder writable"):
        end_with_report(cloud, directory, "succeeded", [])
    told = texts(receiver)
    assert "1 event(s) of this run could not be written into" in told[0]
    assert json.loads((directory.path / "report.json").read_text())["state"] == "failed"
    assert "2 event(s) are missing in this record" in (directory.path / "report.html").read_text()


def test_an_end_that_the_record_does_not_take_is_told_and_fails(
    receiver: Webhook, cloud: Cloud, directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_after(2, monkeypatch)
    directory.record(DagNamed(dag="keystone_upgrade"))
    with pytest.raises(EndNotRecorded):
        end_with_report(cloud, directory, "succeeded", [])
    assert "does not say that it ended" in texts(receiver)[1]
    with pytest.raises(EndNotRecorded):
        end_with_report(None, directory, "succeeded", [])
