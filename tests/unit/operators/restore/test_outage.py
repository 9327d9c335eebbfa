"""A restore takes out no server that its end could not know of, or while a person took one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.node.release_report import NodeReport, RunningRelease
from keystone_rollout.domain.run.events import RestoreChanged
from keystone_rollout.domain.run.lock import Mark
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.run import RolloutRun
from operators.restore import outage
from operators.restore.outage import StopKeystoneOperator
from tests.stand_ins.systems import run_with


@pytest.mark.parametrize("written", [True, False])
def test_what_cannot_be_written_is_not_begun(
    written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[list[str]] = []
    report = SimpleNamespace(release="13.0.4")
    session: Any = SimpleNamespace(
        load=SimpleNamespace(loaded=lambda: "b.sql"),
        backup=lambda: Path("b.sql"),
        section=lambda: SimpleNamespace(swap_needed=True),
        begin=lambda: SimpleNamespace(began=1.0, replaced="old"),
        record=lambda **_: written,
        taken_out_by_hand=lambda names: [],
        outage=SimpleNamespace(
            nodes=SimpleNamespace(reports=lambda: {"keystone-1": report}),
            stop=lambda names: stopped.append(names) or 0,
        ),
    )
    monkeypatch.setattr(outage, "RestoreSession", lambda run: session)
    monkeypatch.setattr(outage.StatisticsLink, "show_cloud", lambda *_: None)
    run = run_with(load_cloud("lab"), tmp_path)
    step = StopKeystoneOperator(task_id="stop_keystone")
    if written:
        assert step.run_step(run, {}) == ["keystone-1"]
        return
    with pytest.raises(AirflowFailException, match=r"^no server was taken out: .*Next: make that"):
        step.run_step(run, {})
    assert stopped == []


NAMES = ("keystone-1", "keystone-2", "keystone-3")


def restore(
    folder: Path, *, out: dict[str, str], marked: tuple[str, ...] = (), begun: bool = False
) -> RolloutRun:
    """Return a run that has a plan, with servers that are out."""
    cloud = load_cloud("lab")
    report = NodeReport(RunningRelease(cloud.target, True))
    run = run_with(
        cloud,
        folder,
        balancers=SimpleNamespace(taken_out=lambda server: out.get(server, "")),
        marks=SimpleNamespace(all=lambda: {name: Mark("run-0", "a", "now") for name in marked}),
        restores=SimpleNamespace(open=lambda: object() if begun else None),
        scratch=SimpleNamespace(loaded=lambda: "kept.sql"),
        backups=SimpleNamespace(folder=folder),
        nodes=SimpleNamespace(reports=lambda: dict.fromkeys(NAMES, report)),
        keystone=SimpleNamespace(prover=lambda node, seconds: None),
        schema=SimpleNamespace(live=None),
    )
    run.directory.record(
        RestoreChanged(backup="kept.sql", planned=Difference(()), swap_needed=True)
    )
    return run


def test_nothing_is_taken_out_and_the_person_is_named_with_what_was_measured(
    tmp_path: Path,
) -> None:
    run = restore(tmp_path, out={"keystone-2": "maint/MAINT on haproxy"})
    context: dict[str, Any] = {"ti": SimpleNamespace(xcom_push=lambda **_: None)}
    with pytest.raises(AirflowFailException) as caught:
        StopKeystoneOperator(task_id="stop").run_step(run, context)
    assert str(caught.value).startswith(
        "no server was taken out, because a person has taken out some: measured keystone-2 "
        "maint/MAINT on haproxy; limit every server ready, or out by an upgrade."
    )


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, ["keystone-1 drain/DRAIN on haproxy"]),
        ({"marked": ("keystone-1",)}, []),
        ({"begun": True}, []),
    ],
)
def test_what_an_upgrade_or_a_restore_took_out_was_taken_out_by_no_person(
    tmp_path: Path, more: dict[str, Any], found: list[str]
) -> None:
    run = restore(tmp_path, out={"keystone-1": "drain/DRAIN on haproxy"}, **more)
    assert RestoreSession(run).taken_out_by_hand(NAMES) == found
