"""A rehearsal is declared in the cloud file: when, how, and only for staging."""

from __future__ import annotations

import sys

import pytest

from keystone_rollout.domain.cloud.rehearsal import check_schedule, judge_reset, judge_staging
from keystone_rollout.domain.recovery.dump import judge_dump, judge_dump_release
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.hooks.files.cloud_file import parse_cloud
from tests.stand_ins.cloud_text import GOOD, STAGING, findings


def test_a_staging_cloud_says_when_and_how_it_is_reset() -> None:
    cloud = parse_cloud(GOOD + STAGING, "small.yaml")
    assert cloud.staging is True
    assert cloud.rehearsal is not None
    assert cloud.rehearsal.schedule == "0 2 * * *"
    assert cloud.rehearsal.reset == ["bin/reset", "12.0.3"]
    assert (cloud.rehearsal.history, cloud.rehearsal.dump) == (100, None)


def test_without_the_section_nothing_is_staging() -> None:
    cloud = parse_cloud(GOOD, "small.yaml")
    assert (cloud.staging, cloud.rehearsal) == (False, None)


def test_the_python_of_airflow_is_filled_in_and_only_there() -> None:
    cloud = parse_cloud(GOOD + STAGING.replace("bin/reset", '"{{ python }}"'), "small.yaml")
    assert cloud.rehearsal is not None
    assert cloud.rehearsal.reset == [sys.executable, "12.0.3"]
    with pytest.raises(ValueError, match="'python' is undefined"):
        parse_cloud(GOOD.replace("etc/{{ target }}", "etc/{{ python }}"), "small.yaml")


@pytest.mark.parametrize("mark", ["", "staging: false\n"])
def test_a_cloud_that_is_not_marked_as_staging_may_not_declare_a_rehearsal(mark: str) -> None:
    (found,) = findings(GOOD + STAGING.replace("staging: true\n", mark))
    line = 24 + mark.count("\n")
    assert found == (
        f"small.yaml:{line}: rehearsal: a rehearsal resets its cloud, and this one is not marked "
        "as staging; it never is reset then. Allowed: `staging: true` in the same file, or no "
        "section rehearsal"
    )


@pytest.mark.parametrize("value", ["'true'", "1", "[true]"])
def test_only_true_itself_marks_a_cloud_as_staging(value: str) -> None:
    found = findings(GOOD + STAGING.replace("staging: true", f"staging: {value}"))
    assert [each.split(": ")[1] for each in found] == ["staging", "rehearsal"]


@pytest.mark.parametrize("text", ["0 2 * * *", "*/30 1-5 * * mon-fri", "@daily", "0 0 29 2 *"])
def test_a_schedule_that_comes_true_is_taken(text: str) -> None:
    assert check_schedule(text) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0 25 * * *", "out of range"),
        ("0 0 31 2 *", "failed to find next date"),
        ("every night", "5, 6 or 7 columns"),
        ("", "5, 6 or 7 columns"),
        ("* * * * * *", "it has 6 fields"),
    ],
)
def test_a_schedule_that_never_comes_true_is_refused(text: str, problem: str) -> None:
    (found,) = findings(GOOD + STAGING.replace("0 2 * * *", f'"{text}"'))
    read = f"small.yaml:26: rehearsal.schedule: read {text!r}: not a cron expression"
    assert found.startswith(read)
    assert problem in found
    assert "allowed are five fields, minute hour day month weekday, in UTC" in found


def test_an_unknown_key_of_the_section_is_named_with_the_allowed_ones() -> None:
    (found,) = findings(GOOD + STAGING + "  reset_second: 5\n")
    assert found == (
        "small.yaml:28: rehearsal.reset_second: read unknown key 'reset_second'; allowed: "
        "after_dump, dump, dump_directory, history, reset, reset_seconds, schedule"
    )


def test_a_rehearsal_without_a_way_back_is_refused() -> None:
    found = findings(GOOD + STAGING.replace("[bin/reset, '{{ source }}']", "[]"))
    assert [each.split(": ")[1] for each in found] == ["rehearsal.reset"]
    (found_history,) = findings(GOOD + STAGING + "  history: 0\n")
    assert "rehearsal.history: Input should be greater than or equal to 1 (read 0)" in found_history


def test_the_verdict_about_staging_fails_closed() -> None:
    assert judge_staging("lab", True, True).ok
    for staging, declared in ((False, True), (True, False), (False, False)):
        assert not judge_staging("prod", staging, declared).ok
    assert str(judge_staging("prod", False, False)) == (
        "FAILED staging (prod): measured not marked as staging, and it has no section rehearsal, "
        "limit `staging: true` and a section `rehearsal` in its file. Consequence: a rehearsal "
        "resets its cloud, so nothing was touched. Next: name a staging cloud with param cloud; "
        "only if this is one, mark it in include/clouds/prod.yaml"
    )


def test_a_node_that_was_not_reset_is_named_with_what_it_runs() -> None:
    assert str(judge_reset("keystone-2", "13.0.4 running", False, "12.0.3")) == (
        "FAILED reset (keystone-2): measured 13.0.4 running, limit 12.0.3 running. Consequence: an "
        "upgrade from here would prove nothing, so none is started. Next: read what the reset "
        "command printed; correct it, or param source"
    )


def test_a_dump_has_to_stand_where_the_reset_cloud_does() -> None:
    def at(number: int) -> RecordedVersions:
        names = ("keystone_expand", "keystone_data_migrate", "keystone_contract")
        return RecordedVersions({"keystone": 109, **dict.fromkeys(names, number)})

    assert judge_dump_release("p.sql", at(24), at(24), "12.0.3").ok
    other = judge_dump_release("p.sql", at(44), at(24), "12.0.3")
    assert not other.ok
    assert "its version table says 44/44/44" in str(other)
    assert "limit 24/24/24, as 12.0.3 has it here" in str(other)
    assert not judge_dump_release("p.sql", RecordedVersions({}, ("a", "b")), at(24), "x").ok


def test_a_dump_that_is_not_whole_is_not_loaded() -> None:
    assert judge_dump("p.sql", [], 5).measured == "complete, 5 bytes"
    verdict = judge_dump("p.sql", ["it is torn"], 5)
    assert not verdict.ok
    assert "staging holds the data that reset left" in str(verdict)
