"""A notification says in a few lines what happened to which run, and what to do next."""

from __future__ import annotations

import copy
from typing import Any

from keystone_rollout.domain.run.record import read_record
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.views.messages.notification import (
    Message,
    Topic,
    approval_needed,
    ended,
    started,
)
from tests.stand_ins import record_example as example

RUN = "manual__2026-03-01T10:00:00+00:00"
REPORT = "/runs/1/report.html"


def topic(dag: str = "keystone_upgrade", page: str = "") -> Topic:
    return Topic(load_cloud("lab", "12.0.3", "13.0.4"), dag, RUN, page)


def end(record: dict[str, Any], dag: str = "keystone_upgrade", **more: Any) -> Message:
    return ended(topic(dag), read_record(record), REPORT, **more)


def test_the_start_names_cloud_releases_and_run() -> None:
    message = started(topic(page="http://airflow.test/dags/keystone_upgrade/runs/1"))
    assert message.happening == "started"
    assert message.subject == "[lab] Keystone upgrade started: 12.0.3 (Pike) → 13.0.4 (Queens)"
    assert message.body.splitlines() == [
        "Cloud lab: 12.0.3 (Pike) → 13.0.4 (Queens)",
        f"Run {RUN} of keystone_upgrade",
        "",
        "Nothing to do now: you are told when it halts, asks, or has finished.",
        "Page: http://airflow.test/dags/keystone_upgrade/runs/1",
    ]


def test_a_start_after_a_broken_lock_says_whose() -> None:
    assert "It takes over from run dead-1, whose lock was broken." in (
        started(topic(), "dead-1").body.splitlines()
    )


def test_a_halt_gives_the_verdicts_own_words_and_what_to_do() -> None:
    message = end(example.failed())
    assert message.happening == "halted"
    assert message.subject == "[lab] Keystone upgrade HALTED: load failures (locust)"
    lines = message.body.splitlines()
    assert lines[3] == (
        "1. FAILED load failures (locust): measured 13 failed of 6815 requests (validate_token "
        "13), limit 0. Consequence: the upgrade stops before the next step. Next: open "
        "the page of link Load at task load.start_load, or failures.jsonl of this run: each line "
        "has the time and the error"
    )
    assert lines[4].startswith("2. keystone-2: keystone-2 could not be taken to 13.0.4")
    assert lines[4].endswith("Remove the cause, then clear this task")
    assert lines[-3:] == [
        "Red tasks: load.watch_load, nodes.upgrade_node, nodes.verify_nodes",
        "13 of 7,648 requests failed, longest gap between two successes 0.3 s.",
        f"Report: {REPORT}",
    ]


def test_many_long_reasons_stay_short_and_keep_their_beginning_and_end() -> None:
    record = copy.deepcopy(example.failed())
    step = next(each for each in record["steps"] if each["state"] == "failed")
    record["steps"] += [
        {**step, "name": f"step {n}", "reason": f"It broke {n}. {'x' * 5000} Next: repair {n}"}
        for n in range(9)
    ]
    message = end(record)
    assert len(message.body) < 2500
    assert "... and 8 more in the report" in message.body
    assert "It broke 0. xxx" in message.body
    assert "xxx Next: repair 0" in message.body


def test_what_other_programs_wrote_breaks_neither_subject_nor_lines() -> None:
    record = copy.deepcopy(example.failed())
    example.violated(record).update(check="load\nBcc: x@y", measured="\x1b[31mred\x07\nline")
    message = end(record)
    assert message.subject == "[lab] Keystone upgrade HALTED: load Bcc: x@y (locust)"
    assert "measured [31mred line, limit" in message.body
    assert len(message.subject) <= 120


def test_a_resumed_run_gives_only_the_reasons_that_were_not_told_yet() -> None:
    record = copy.deepcopy(example.failed())
    since = max(each["ended"] for each in record["steps"] if each["ended"])
    old = example.violated(record)
    record["verdicts"].append({**old, "t": since + 60, "measured": "99 failed of 9000 requests"})
    message = end(record, since=since)
    assert "measured 99 failed of 9000 requests" in message.body
    assert "13 failed of 6815" not in message.body
    assert "keystone-2 could not be taken" not in message.body


def test_a_report_that_is_written_again_gives_the_reasons_again() -> None:
    record = example.failed()
    assert end(record, since=record["ended"] + 9).body == end(record).body


def test_reasons_that_no_step_recorded_are_told_too() -> None:
    message = end(example.failed_at_once(), also=["release the lock: server has gone away"])
    assert "1. release the lock: server has gone away" in message.body
    assert message.subject == "[lab] Keystone upgrade HALTED: plan"
    assert "No request was made" not in message.body


def test_a_halt_without_a_reason_says_where_to_look() -> None:
    assert "1. no step recorded why. Next: read the log of the first red task of this run" in (
        end(example.failed_at_once()).body
    )


def test_a_rejected_approval_says_that_the_old_release_can_still_serve() -> None:
    record = {**example.failed_at_once(), "failed_tasks": ["contraction.approve_contract"]}
    assert "1. Contract was rejected, or nobody answered in time: it did not run" in (
        end(record).body
    )


def test_the_end_gives_failed_and_total_requests() -> None:
    message = end(example.succeeded())
    assert message.happening == "finished"
    assert message.subject == "[lab] Keystone upgrade finished: 12.0.3 (Pike) → 13.0.4 (Queens)"
    assert "0 of 9,817 requests failed, longest gap" in message.body
    assert message.body.endswith(f"Next: read the report, {REPORT}")


def test_an_end_without_load_does_not_claim_that_nobody_noticed() -> None:
    message = end(example.without_load())
    assert message.happening == "finished"
    assert "No request was made: nobody knows whether clients noticed." in message.body


def test_a_rollback_goes_the_other_way_and_says_what_is_left_behind() -> None:
    record = {**example.succeeded(), "left_behind": ["the schema stays expanded"]}
    message = end(record, "keystone_rollback")
    assert message.happening == "rolled_back"
    assert message.subject == "[lab] Keystone rolled back: 13.0.4 (Queens) → 12.0.3 (Pike)"
    assert "Left behind: the schema stays expanded" in message.body


def test_a_restore_says_for_how_long_nobody_was_served() -> None:
    message = end(example.restored(), "keystone_restore")
    assert message.happening == "finished"
    assert "The old release serves again, from " in message.body
    assert "Downtime: 43 s until the first server served, 46 s until all did" in message.body
    refused = end(example.restore_refused(), "keystone_restore")
    assert refused.subject == "[lab] Keystone restore HALTED: confirm_restore"
    assert "It stopped before anything was touched." in refused.body


def test_the_question_shows_its_evidence_and_until_when_it_waits() -> None:
    evidence = "\n".join(f"* fact {number}" for number in range(20))
    message = approval_needed(topic(), evidence)
    assert message.happening == "approval_needed"
    assert message.subject == "[lab] Keystone upgrade asks for approval: contract the schema?"
    assert "* fact 11\n... and 8 more lines there\n" in message.body
    assert "within 1 h 0 min; no answer counts as rejected" in message.body
