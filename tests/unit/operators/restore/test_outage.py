"""A restore takes out no server as long as a person has taken out one: it sets all ready again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.node.release_report import NodeReport, RunningRelease
from keystone_rollout.domain.run.events import RestoreChanged
from keystone_rollout.domain.run.lock import Mark
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.run import RolloutRun
from operators.restore.outage import StopKeystoneOperator
from tests.stand_ins.systems import run_with

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
    run.directory.record(RestoreChanged(backup="kept.sql", planned=[], swap_needed=True))
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
