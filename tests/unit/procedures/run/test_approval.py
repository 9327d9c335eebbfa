"""What the approval shows of load and backup is what the run has recorded."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.load.samples import Sample
from keystone_rollout.domain.node.release_report import NodeReport, RunningRelease
from keystone_rollout.domain.run.events import (
    BackupTaken,
    BaselineMeasured,
    Judged,
    LoadStarted,
    Look,
    Reported,
)
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run import approval
from keystone_rollout.procedures.run.approval import backup_evidence, load_evidence
from keystone_rollout.procedures.run.end import was_resumed
from keystone_rollout.procedures.run.report import write_report_so_far
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.views.messages.approval import LoadEvidence
from keystone_rollout.views.report.tables import again_in_words
from tests.stand_ins.systems import run_with


@pytest.fixture
def run(tmp_path: Path) -> RolloutRun:
    return RolloutRun(load_cloud("lab"), RunDirectory("run-1", tmp_path), "approve_contract")


def record_session(run: RolloutRun, number: int, failures: int) -> None:
    run.directory.record(LoadStarted(session=number))
    folder = run.directory.load / str(number)
    folder.mkdir(parents=True)
    lines = [
        Sample(1000 * number + t, 10, failures, 5, 1000.0 * number + t, 0.1, {120.0: 10},
               {"get_user": (10, failures)}).to_line()
        for t in range(20)
    ]  # fmt: skip
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")


def verdict(ok: bool, measured: str = "38 tables restored") -> Verdict:
    return Verdict(ok, "backup", "run-1.sql", measured, "all")


def test_every_session_counts_and_a_second_baseline_is_called_that(
    run: RolloutRun,
) -> None:
    assert load_evidence(run) == LoadEvidence(0, 0, None, None, [])
    record_session(run, 1, failures=1)
    run.directory.record(BaselineMeasured(session=1, start=1000, end=1010, p99=240.0))
    record_session(run, 2, failures=0)
    run.directory.record(BaselineMeasured(session=2, start=2000, end=2010, p99=900.0,
                                          step="before contract"))  # fmt: skip
    (again,) = [each for each in run.directory.events(BaselineMeasured) if each.mid_upgrade]
    assert load_evidence(run) == LoadEvidence(400, 20, 120.0, 240.0, [again])
    assert again_in_words(again).startswith("measured again before contract, in mid-upgrade: 900")


def test_a_backup_counts_as_verified_only_by_the_gate_after_it(run: RolloutRun) -> None:
    assert backup_evidence(run) is None
    run.directory.record(Judged(gate="backup", look=Look.BACKUP, verdicts=[verdict(True)]))
    run.directory.record(BackupTaken(path="/b/run-1.sql", bytes=12))
    before = backup_evidence(run)
    assert before is not None
    assert (before.path, before.size, before.verified, before.measured) == (
        "/b/run-1.sql", 12, None, "",
    )  # fmt: skip
    run.directory.record(Judged(gate="before expand", verdicts=[verdict(True)]))
    run.directory.record(Judged(gate="backup", look=Look.BACKUP, verdicts=[verdict(True)]))
    good = backup_evidence(run)
    assert good is not None
    assert good.verified == run.directory.events(Judged)[-1].t
    assert good.measured == "38 tables restored"
    run.directory.record(Judged(gate="backup", look=Look.BACKUP, verdicts=[verdict(False)]))
    bad = backup_evidence(run)
    assert bad is not None
    assert bad.verified is None


def test_the_report_so_far_says_that_the_run_waits_and_ends_nothing(run: RolloutRun) -> None:
    record_session(run, 1, failures=0)
    run.directory.record(Judged(gate="before approval", verdicts=[verdict(True)]))
    path = write_report_so_far(run.directory)
    assert json.loads(path.with_suffix(".json").read_text())["state"] == "waiting"
    page = path.read_text()
    assert "Waits for approval" in page
    assert "Nothing goes on before somebody answers" in page
    assert run.directory.events(Reported) == []
    assert not was_resumed(run)


def test_a_node_that_only_dates_speak_for_is_shown_as_not_done(tmp_path: Path) -> None:
    cloud = load_cloud("lab")
    reports = {
        "keystone-1": NodeReport(RunningRelease(cloud.target, True)),
        "keystone-2": NodeReport(RunningRelease(cloud.target, True, certain=False)),
    }
    run = run_with(cloud, tmp_path, nodes=SimpleNamespace(reports=lambda: reports))
    assert [(each.name, each.done) for each in approval._nodes(run)] == [
        ("keystone-1", True),
        ("keystone-2", False),
    ]
