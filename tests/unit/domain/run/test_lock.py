"""Who may have a cloud's lock, and what the others are told."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.run.lock import LockHolder, judge_lock

DEAD = LockHolder("manual__1", "host-a:/airflow", "2026-01-02 03:04:05", 900)
WORDS = "held by run manual__1 of host-a:/airflow since 2026-01-02 03:04:05, heartbeat 900 s ago"


def test_a_free_lock_may_be_had() -> None:
    verdict = judge_lock("prod", None, "run-2", "", 300)
    assert (verdict.ok, verdict.measured, verdict.object) == (True, "free", "prod")


def test_the_holder_itself_goes_on() -> None:
    verdict = judge_lock("prod", DEAD, "manual__1", "", 300)
    assert verdict.ok
    assert verdict.measured == f"{WORDS}, which is this run"


def test_another_run_is_refused_and_told_who_holds_it_since_when() -> None:
    verdict = judge_lock("prod", DEAD, "run-2", "", 300)
    assert not verdict.ok
    assert verdict.measured == WORDS
    assert "start again with break_lock=manual__1, 300 s after its last" in verdict.next_step


def test_a_dead_runs_lock_is_broken_only_by_its_name() -> None:
    verdict = judge_lock("prod", DEAD, "run-2", "manual__1", 300)
    assert verdict.ok
    assert verdict.measured == f"{WORDS}; broken deliberately"
    assert not judge_lock("prod", DEAD, "run-2", "manual__9", 300).ok


def holder_of(silent: int) -> LockHolder:
    return LockHolder("manual__1", "host-a:/airflow", "2026-01-02 03:04:05", silent)


@pytest.mark.parametrize("silent", [-300, -86_400])
def test_a_heartbeat_from_the_future_is_told_and_keeps_no_lock_from_being_broken(
    silent: int,
) -> None:
    words = f"heartbeat {-silent} s in the future: the database's clock was set back since"
    refused = judge_lock("prod", holder_of(silent), "run-2", "", 300)
    assert not refused.ok
    assert refused.measured.endswith(words)
    verdict = judge_lock("prod", holder_of(silent), "run-2", "manual__1", 300)
    assert verdict.ok
    assert verdict.measured.endswith(f"{words}; broken deliberately")


def test_a_heartbeat_just_ahead_may_be_of_a_run_that_lives() -> None:
    assert not judge_lock("prod", holder_of(-299), "run-2", "manual__1", 300).ok


@pytest.mark.parametrize(("silent", "ok"), [(299, False), (300, True)])
def test_a_lock_that_was_heard_of_lately_cannot_be_broken(silent: int, ok: bool) -> None:
    holder = holder_of(silent)
    verdict = judge_lock("prod", holder, "run-2", "manual__1", 300)
    assert verdict.ok is ok
    if not ok:
        assert verdict.measured.endswith("heartbeat 299 s ago: it is alive")
        assert verdict.next_step == "end that run, or wait until it has been silent for 300 s"
