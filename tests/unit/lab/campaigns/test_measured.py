"""A hop's row says what the run's report and the database say, and nothing more."""

from __future__ import annotations

import pytest

from tests.unit import record_example
from tests.unit.lab.campaigns import example


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
