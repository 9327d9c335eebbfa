"""A row says what the run's report and the database say, or why the hop could not be run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.hooks.locust.process import LoadProcess
from lab import paths
from lab.airflow import process as airflow_process
from lab.airflow.process import AirflowProcess, AirflowSite
from lab.airflow.upgrade_run import UpgradeRun
from lab.campaigns import rehearsals
from lab.campaigns.rehearsals import new_row, on_ground, run_hop
from lab.cloud import database
from lab.hop import Hop, plan_hop
from lab.rehearsal import Check, Outcome
from machine.errors import CommandError
from machine.progress import Report
from tests.stand_ins import campaign_example as example
from tests.stand_ins import record_example


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYSTONE_DIST", raising=False)


def archive(path: Path) -> None:
    """Write a source archive with the files that an old release does not start without."""
    with tarfile.open(path, "w:gz") as content:
        for name in ("keystone-paste.ini", "policy.json"):
            content.addfile(tarfile.TarInfo(f"{path.name.removesuffix('.tar.gz')}/etc/{name}"))


def never(hop: Hop, report: Report) -> None:
    raise AssertionError("the lab must not be touched")


def test_a_release_that_is_nowhere_is_a_row_and_touches_nothing() -> None:
    record = run_hop(example.pair("10-11"), example.RUN, Report(), bring=never)
    assert (record.state, record.lacks_sources) == ("not run", True)
    assert "10.0.3 (Newton)" in record.reason
    assert "KEYSTONE_DIST" in record.reason
    assert record.command == example.RUN


def test_a_release_that_is_there_and_cannot_be_built_has_no_excuse() -> None:
    def fail(hop: Hop, report: Report) -> None:
        raise CommandError(
            "container of keystone-rollout/builder exited with 1 (allowed: 0)\nno wheel"
        )

    record = run_hop(example.pair(), example.RUN, Report(), bring=fail)
    assert (record.state, record.lacks_sources) == ("not run", False)
    assert record.reason.endswith("exited with 1 (allowed: 0)\nno wheel")
    assert (record.source.python, record.suite) == ("2.7", "bullseye")


def test_the_evidence_names_neither_this_machine_nor_its_package_index() -> None:
    def fail(hop: Hop, report: Report) -> None:
        raise CommandError(
            f"log {paths.ROOT}/.lab/log/x, Looking in indexes: https://me:pw@index.corp/simple, "
            "HTTPSConnectionPool(host='index.corp', port=443); http://packages/13.0.4 and "
            "http://127.0.0.1:5000/v3 serve"
        )

    reason = run_hop(example.pair(), example.RUN, Report(), bring=fail).reason
    assert reason == (
        "log .lab/log/x, Looking in indexes: [address], HTTPSConnectionPool(host=[host], "
        "port=443); http://packages/13.0.4 and http://127.0.0.1:5000/v3 serve"
    )


def test_an_error_that_nobody_foresaw_is_named_by_its_kind() -> None:
    def fail(hop: Hop, report: Report) -> None:
        raise ValueError("odd")

    record = run_hop(example.pair(), example.RUN, Report(), bring=fail)
    assert record.reason == "ValueError: odd"


def test_an_archive_in_the_folder_takes_the_excuse_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def excused() -> bool:
        row = run_hop(example.pair("11-12"), example.RUN, Report(), bring=fail)
        assert row.state == "not run"
        return row.lacks_sources

    def fail(hop: Hop, report: Report) -> None:
        raise CommandError("no wheel")

    assert excused()
    monkeypatch.setenv("KEYSTONE_DIST", str(tmp_path / "nowhere"))
    assert not excused()
    monkeypatch.setenv("KEYSTONE_DIST", str(tmp_path))
    assert excused()
    archive(tmp_path / "keystone-11.0.4.tar.gz")
    assert not excused()


def test_a_hop_stands_on_the_ground_that_the_lab_chose() -> None:
    row = on_ground(new_row(example.pair(), example.RUN), plan_hop("pike", "queens"))
    ground = (row.source.python, row.target.python, row.suite, row.own_cache)
    assert ground == ("2.7", "2.7", "bullseye", False)
    assert on_ground(row, plan_hop("2023.1", "2024.1")).suite == "bookworm"


@pytest.mark.parametrize("ok", [True, False])
def test_a_hop_that_ran_is_a_row_of_what_the_run_and_the_database_say(
    monkeypatch: pytest.MonkeyPatch, ok: bool
) -> None:
    report = record_example.succeeded() if ok else record_example.failed()
    tables = iter([example.PIKE, example.QUEENS])
    outcome = Outcome([Check("failed requests", "3", "0", ok)], 9)
    run = SimpleNamespace(report=lambda: report)
    told: list[object] = []
    monkeypatch.setattr(database, "read_version_tables", lambda: next(tables))
    monkeypatch.setattr(database, "count_triggers", lambda: 0)
    monkeypatch.setattr(rehearsals.rehearsal, "new_run", lambda hop, clouds: run)
    monkeypatch.setattr(rehearsals.rehearsal, "upgrade", lambda *given: outcome)
    row = run_hop(
        example.pair(), example.RUN, Report(), bring=lambda hop, report: None, on_run=told.append
    )
    assert told == [run]
    assert row.state == ("green" if ok else "red")
    assert row.reason.startswith("" if ok else "failed requests: 3 (limit 0); step keystone-2: ")
    assert (row.tables_before, row.tables_after) == (example.PIKE, example.QUEENS)
    assert row.requests == report["load"]["requests"]
    assert (row.upgrade_seconds, row.suite) == (9, "bullseye")
    assert row.lab_seconds is not None


def test_an_upgrade_that_breaks_off_is_red_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[object] = []
    run = SimpleNamespace(report=dict)
    monkeypatch.setattr(database, "read_version_tables", dict)
    monkeypatch.setattr(database, "count_triggers", lambda: 0)
    monkeypatch.setattr(rehearsals.rehearsal, "new_run", lambda hop, clouds: run)
    monkeypatch.setattr(rehearsals, "end", ended.append)

    def upgrade(*given: object) -> Outcome:
        raise CommandError("the upgrade DAG has run for 1800 s, allowed limit")

    monkeypatch.setattr(rehearsals.rehearsal, "upgrade", upgrade)
    row = run_hop(example.pair(), example.RUN, Report(), bring=lambda hop, report: None)
    assert (row.state, row.requests, row.failures) == ("red", 0, None)
    assert row.reason == "CommandError: the upgrade DAG has run for 1800 s, allowed limit"
    assert ended == [run]


def test_a_run_that_is_ended_takes_its_load_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load is a process group of its own, so it survives the run that started it."""
    monkeypatch.setattr(airflow_process, "LOG", tmp_path / "log")
    run = UpgradeRun({}, airflow=AirflowProcess(AirflowSite(tmp_path / "home", tmp_path / "runs")))
    run._known = set()
    session = tmp_path / "runs" / "manual__1" / "load" / "1"
    session.mkdir(parents=True)
    # A shell that starts these tests in the background has SIGINT ignored, which is inherited.
    program = ["env", "--default-signal=INT", "sleep", "60"]
    children = [subprocess.Popen(program, start_new_session=True) for _ in range(2)]
    try:
        run.airflow.process = children[0]
        LoadProcess.of(children[1].pid).save(session / "process.json")
        rehearsals.end(run)
        assert children[0].wait(10) == -signal.SIGKILL
        assert children[1].wait(30) == -signal.SIGINT
    finally:
        for child in children:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    assert json.loads((session / "process.json").read_text())["pid"] == children[1].pid


def test_a_green_hop_is_taken_from_its_report() -> None:
    report = record_example.succeeded()
    record = example.record(report=report)
    assert (record.state, record.reason) == ("green", "")
    assert (record.title, record.source.python, record.suite) == (
        "Pike → Queens", "2.7", "bullseye",
    )  # fmt: skip
    assert record.before == {"expand": "24", "migrate": "24", "contract": "24"}
    assert record.heads == record.after == {"expand": "44", "migrate": "44", "contract": "44"}
    assert (record.requests, record.failures) == (report["load"]["requests"], 0)
    assert record.p99_ratio == report["load"]["p99"] / 140.0
    assert list(record.out_of_rotation) == record_example.NODES
    assert record.out_of_rotation["keystone-1"] == pytest.approx(
        report["nodes"]["keystone-1"]["out_of_rotation"], abs=0.05
    )
    assert record.idle_phases == []
    assert (record.lab_seconds, record.upgrade_seconds) == (61.0, 214.3)


def test_a_phase_that_was_passed_without_running_had_nothing_to_do() -> None:
    report = record_example.succeeded()
    report["steps"] = [step for step in report["steps"] if step["name"] != "migrate"]
    assert example.record(report=report).idle_phases == ["migrate"]


def test_a_phase_that_was_never_reached_did_not_have_nothing_to_do() -> None:
    record = example.record(report=record_example.failed(), failed=("exit code 1",))
    assert record.idle_phases == []
    assert record.after["contract"] == "24"


def test_the_most_triggers_are_those_at_any_moment() -> None:
    report = record_example.succeeded()
    report["versions"][0]["triggers"] = 6
    record = example.record(report=report)
    assert (record.triggers_before, record.triggers_most) == (0, 6)


def test_revisions_of_alembic_are_kept_as_they_are() -> None:
    report = record_example.succeeded()
    report["plan"]["state"] = {
        "expand": "29e87d24a316",
        "migrate": "",
        "contract": "e25ffa003242",
    }
    assert example.record(report=report).before == {
        "expand": "29e87d24a316", "contract": "e25ffa003242",
    }  # fmt: skip


def test_a_red_hop_says_what_the_lab_found_and_why_the_run_says_it_failed() -> None:
    failed = ("upgrade DAG: exit code 1 (limit 0)",)
    record = example.record(report=record_example.failed(), failed=failed)
    assert record.state == "red"
    assert record.reason.startswith("upgrade DAG: exit code 1 (limit 0); step keystone-2: ")
    assert "bind(): Address already in use" in record.reason
    assert "load failures (locust) at" in record.reason
    assert (record.failures or 0) > 0


def test_a_run_that_wrote_no_report_is_red_and_measured_nothing() -> None:
    record = example.record(report={}, failed=("upgrade DAG: exit code 1 (limit 0)",))
    assert (record.state, record.requests, record.failures) == ("red", 0, None)
    assert (record.p99, record.p99_ratio, record.longest_gap) == (None, None, None)
