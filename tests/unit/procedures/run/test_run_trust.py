"""What is not verified is said with its reason in plan, approval and report of every run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.tls import Tls, TrustedAddress
from keystone_rollout.domain.releases.hop_plan import hop_part
from keystone_rollout.domain.run.events import Noted, Planned
from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.plan.file import record_part, write_plan
from keystone_rollout.procedures.run.approval import contract_evidence
from keystone_rollout.procedures.run.report import read_record, render_report
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.views.messages.approval import approval_text
from operators.plan_upgrade import PlanUpgradeOperator
from operators.restore import plan as restore_plan
from operators.restore.plan import PlanRestoreOperator
from tests.stand_ins import image_listings, plan_example
from tests.stand_ins.systems import run_with

SAID = "the certificate of 192.0.2.9:5000 is not verified, because: old appliance, gone by March"


@pytest.fixture
def cloud() -> Cloud:
    old = TrustedAddress(verify=False, because="old appliance, gone by March")
    return load_cloud("lab").model_copy(update={"tls": Tls(addresses={"192.0.2.9:5000": old})})


@pytest.fixture
def run(cloud: Cloud, tmp_path: Path) -> RolloutRun:
    return run_with(cloud, tmp_path)


def notes(run: RolloutRun) -> list[str]:
    return [event.text for event in run.directory.events(Noted)]


def unasked(run: RolloutRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the approval ask nobody: this is about what the run has recorded."""
    image: ImageMigrations = image_listings.image_of("13.0.4")
    database = SimpleNamespace(versions=lambda: image_listings.numbers(44, 44, 24))
    monkeypatch.setattr(run.systems, "schema", database)
    monkeypatch.setattr(run.systems, "nodes", SimpleNamespace(reports=dict))
    monkeypatch.setattr(run, "image", lambda: image)


@pytest.mark.parametrize("dag", ["keystone_upgrade", "keystone_rollback"])
def test_an_upgrade_and_a_rollback_say_it_in_approval_and_report(
    dag: str, run: RolloutRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = PlanUpgradeOperator(task_id="plan")
    state = dict.fromkeys(("expand", "migrate", "contract"), "1")
    monkeypatch.setattr(operator, "_read", lambda run: Planned(state=state))
    params = {"cloud": "lab", "source": "", "target": ""}
    for _ in range(2):  # a cleared task says it once
        operator.run_step(run, {"ti": SimpleNamespace(dag_id=dag), "params": params})
    assert notes(run).count(SAID) == 1
    unasked(run, monkeypatch)
    assert f"\n* {SAID}" in approval_text(contract_evidence(run))
    record = read_record(run.directory, "succeeded", [])
    assert SAID in render_report(record)
    assert SAID in json.dumps(record.to_dict())


def test_a_restore_says_it(run: RolloutRun, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SimpleNamespace(
        find=lambda *_: Path("b.sql"), facts=lambda _: SimpleNamespace(taken=0.0)
    )
    session = SimpleNamespace(
        live=SimpleNamespace(versions=lambda: image_listings.numbers(44, 44, 44)),
        record=lambda **_: None,
    )
    monkeypatch.setattr(run.systems, "backups", store)
    monkeypatch.setattr(restore_plan, "RestoreSession", lambda run: session)
    monkeypatch.setattr(run.systems, "nodes", SimpleNamespace(reports=dict))
    monkeypatch.setattr(restore_plan, "warn_unreachable", lambda *_: None)
    monkeypatch.setattr(
        restore_plan, "RestoreChecks", lambda *_: pytest.fail("said before it is checked", False)
    )
    with pytest.raises(pytest.fail.Exception, match="said before it is checked"):
        PlanRestoreOperator(task_id="plan").run_step(run, {"params": {"backup": ""}})
    assert notes(run) == [SAID]
    assert SAID in render_report(read_record(run.directory, "failed", []))


def test_a_plan_says_it(run: RolloutRun) -> None:
    for part, data in {**plan_example.parts(), "hop": hop_part(run.cloud)}.items():
        record_part(run.directory, part, data)
    page, text = write_plan(run.directory)
    assert f"not verified: {SAID}" in " ".join(text.split())
    assert f"<dt>not verified</dt><dd>{SAID}</dd>" in page.read_text()
    assert SAID in (page.parent / "plan.json").read_text()


def test_a_cloud_of_plain_http_says_nothing(
    run: RolloutRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.cloud = load_cloud("lab")
    run.record_unverified()
    assert notes(run) == []
    unasked(run, monkeypatch)
    texts = [json.dumps(hop_part(run.cloud)), approval_text(contract_evidence(run))]
    texts.append(render_report(read_record(run.directory, "failed", [])))
    assert [text for text in texts if "not verified, because" in text] == []
