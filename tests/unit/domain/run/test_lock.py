"""Who may have a cloud's lock, and what the others are told."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.run.lock import LockHolder, judge_held, judge_lock

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


@pytest.mark.parametrize(("silent", "ok"), [(299, False), (300, True)])
def test_a_lock_that_was_heard_of_lately_cannot_be_broken(silent: int, ok: bool) -> None:
    holder = LockHolder("manual__1", "host-a:/airflow", "2026-01-02 03:04:05", silent)
    verdict = judge_lock("prod", holder, "run-2", "manual__1", 300)
    assert verdict.ok is ok
    if not ok:
        assert verdict.measured.endswith("heartbeat 299 s ago: it is alive")
        assert verdict.next_step == "end that run, or wait until it has been silent for 300 s"


@pytest.mark.parametrize(
    ("holder", "released", "measured", "next_step"),
    [
        (None, True, "free: a teardown of this run released it", "clear this task"),
        (None, False, "free: somebody else removed it", "find out who works on this cloud"),
        (DEAD, True, WORDS, "find out who works on this cloud"),
    ],
)
def test_a_run_that_lost_its_lock_is_told_how(
    holder: LockHolder | None, released: bool, measured: str, next_step: str
) -> None:
    verdict = judge_held("prod", holder, "run-2", released)
    assert (verdict.ok, verdict.measured) == (False, measured)
    assert verdict.next_step.startswith(next_step)
    assert verdict.limit == "held by run run-2"


def test_the_holder_holds_it() -> None:
    assert judge_held("prod", DEAD, "manual__1", False).ok
