"""One operator runs every check of the image: another row needs no other class."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.releases import image_checks
from keystone_rollout.domain.releases.image_checks import ImageCheck, Meaning
from keystone_rollout.domain.run.events import FindingsAccepted, StepChanged, StepState
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from operators import keystone_manage
from operators.keystone_manage import ImageCheckOperator
from tests.stand_ins.systems import run_with

POLICY = ImageCheck(
    name="policy",
    arguments=("policy", "--verbose"),
    statuses={0: Meaning.CLEAN, 3: Meaning.FOUND},
    read=lambda lines: [line for line in lines if line.startswith("rule")],
    finding="rule",
    accepted="doctor.accepted_symptoms",
    consequence="Nobody may log in. Next: correct the rule",
    since=13,
)


@pytest.fixture
def gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Add the row, let every gate be open, and return which gates were asked for."""
    asked: list[str] = []
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    monkeypatch.setitem(image_checks.CHECKS, "policy", POLICY)
    monkeypatch.setattr(keystone_manage, "proceed", lambda run, gate: asked.append(gate))
    return asked


def run_check(status: int, *lines: str, name: str = "policy", target: str = "13.0.4") -> None:
    check = ImageCheckOperator(task_id=name, check=name)
    check.wait_for_earlier = lambda run: None  # type: ignore[method-assign]
    check.keystone_manage = lambda run, context: (status, list(lines))  # type: ignore[method-assign]
    source = {"12.0.3": "11.0.4"}.get(target, "12.0.3")
    params = {"cloud": "lab", "source": source, "target": target}
    context: dict[str, Any] = {
        "params": params, "run_id": "run-1",
        "ti": SimpleNamespace(task_id=name, dag_id="keystone_upgrade"),
    }  # fmt: skip
    check.execute(context)


def test_a_row_is_all_that_a_check_needs(gates: list[str]) -> None:
    check = ImageCheckOperator(task_id="policy", check="policy")
    assert isinstance(check, DockerOperator)
    assert (check.arguments, check.interruptible) == (["policy", "--verbose"], True)
    run_check(0, "good")
    assert gates == ["before policy"]
    states = [(each.step, each.state) for each in RunDirectory("run-1").events(StepChanged)]
    assert states == [("policy", StepState.STARTED), ("policy", StepState.FINISHED)]
    accepted = RunDirectory("run-1").last(FindingsAccepted)
    assert accepted is not None
    assert (accepted.check, accepted.accepted) == ("policy", [])


def test_a_finding_stops_the_run_in_the_rows_words(gates: list[str]) -> None:
    with pytest.raises(AirflowFailException) as caught:
        run_check(3, "rule 1", "good")
    assert str(caught.value) == (
        "policy: exit status 3 (something found), 1 rule(s), not accepted: rule 1. Nobody may log "
        "in. Next: correct the rule"
    )
    assert RunDirectory("run-1").last(FindingsAccepted) is None


def test_a_release_that_has_no_such_check_is_not_asked(gates: list[str]) -> None:
    run_check(3, "rule 1", target="12.0.3")
    assert gates == []


def test_doctor_is_the_first_row(gates: list[str]) -> None:
    with pytest.raises(AirflowFailException, match=r"doctor: exit status 1 .*, 1 symptom"):
        run_check(1, "WARNING: `keystone.conf [DEFAULT] debug` is enabled.", name="doctor")
    assert gates == ["before doctor"]


def test_the_lock_is_kept_alive_while_an_earlier_container_works(tmp_path: Path) -> None:
    beating: list[bool] = []

    def wait() -> str:
        beating.append("heartbeat" in {thread.name for thread in threading.enumerate()})
        return "no earlier container"

    engine = SimpleNamespace(container=SimpleNamespace(wait_for_earlier=wait))
    run = run_with(load_cloud("lab"), tmp_path, engine=engine)
    ImageCheckOperator(task_id="doctor", check="doctor").wait_for_earlier(run)
    assert beating == [True]
