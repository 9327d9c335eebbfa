"""A run that nobody else will end is ended, even if its record does not say that it was resumed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keystone_rollout.domain.run.events import Judged, Reported
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.run.run import RolloutRun
from operators import run_end
from operators.run_end import EndRunOperator, end_resumed_run, has_no_teardown
from tests.stand_ins.systems import run_with

OWN, FREE = "own", None
"""Who has the lock."""


def played(folder: Path, holder: str | None) -> RolloutRun:
    """Return a run with a lock that it has, that is free, or that another run of its id has."""
    run = run_with(load_cloud("lab"), folder)
    own = run.directory.identity()
    token = own.token if holder == OWN else str(holder)
    held = LockHolder(own.run_id, "there:/airflow", "now", 1, token=token) if holder else None
    run.systems.lock = SimpleNamespace(holder=lambda: held)  # type: ignore[misc, assignment]
    return run


def context(task: str, **states: str | None) -> dict[str, Any]:
    def get_task_states(**_: Any) -> dict[str, dict[str, str | None]]:
        return {"run-1": states}

    instance = SimpleNamespace(
        task_id=task, dag_id="keystone_upgrade", run_id="run-1", get_task_states=get_task_states
    )
    return {"ti": instance, "params": {"cloud": "lab"}, "run_id": "run-1"}


@pytest.mark.parametrize(
    ("task", "release", "holder", "ends"),
    [
        ("expand", None, OWN, False),
        ("expand", "running", OWN, False),
        ("expand", "success", OWN, True),
        ("expand", "failed", OWN, True),
        ("expand", "success", FREE, False),
        ("expand", "success", "another run of this id", False),
        ("release_lock", "failed", OWN, False),
        ("write_report", "success", FREE, False),
        ("upgrade_succeeded", "success", OWN, True),
    ],
)
def test_a_lock_that_is_held_after_its_teardown_tells_it_without_any_record(
    task: str, release: str | None, holder: str | None, ends: bool, tmp_path: Path
) -> None:
    run = played(tmp_path, holder)
    assert has_no_teardown(run, context(task, release_lock=release)) is ends


def test_a_record_that_says_it_is_believed_without_asking_anybody(tmp_path: Path) -> None:
    run = run_with(load_cloud("lab"), tmp_path)
    run.directory.record(Reported(state="failed", path=""))
    run.clock.sleep(0.01)
    run.directory.record(Judged(gate="before expand", verdicts=()))
    assert has_no_teardown(run, {})


@pytest.mark.parametrize(("release", "states"), [("success", ["succeeded", "failed"]), (None, [])])
def test_whoever_finishes_or_fails_then_ends_it(
    release: str | None, states: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = played(tmp_path, OWN)
    ended: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(run_end, "end_safely", lambda _run, state, red: ended.append((state, red)))
    monkeypatch.setattr(RolloutRun, "from_context", lambda *_, **__: run)
    given = context("expand", release_lock=release, doctor="failed")
    EndRunOperator(task_id="upgrade_succeeded").execute(given)
    end_resumed_run(given)
    assert [state for state, _red in ended] == states
    assert [red for _state, red in ended[1:]] == [["doctor", "expand"]] * len(states[1:])
