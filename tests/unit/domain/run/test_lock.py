"""Who may have a cloud's lock, and what the others are told."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.run.lock import LockHolder, RunIdentity, judge_held, judge_lock

SINCE = "2026-01-02 03:04:05"
DEAD = LockHolder("manual__1", "host-a:/airflow", SINCE, 900, token="1")
OTHER = RunIdentity("run-2", token="2")
WORDS = "held by run manual__1 of host-a:/airflow since 2026-01-02 03:04:05, heartbeat 900 s ago"


def test_a_free_lock_may_be_had() -> None:
    verdict = judge_lock("prod", None, OTHER, "", 300)
    assert (verdict.ok, verdict.measured, verdict.object) == (True, "free", "prod")


def test_the_holder_itself_goes_on() -> None:
    verdict = judge_lock("prod", DEAD, RunIdentity("manual__1", token="1"), "", 300)
    assert verdict.ok
    assert verdict.measured == f"{WORDS}, which is this run"


def test_another_run_is_refused_and_told_who_holds_it_since_when() -> None:
    verdict = judge_lock("prod", DEAD, OTHER, "", 300)
    assert not verdict.ok
    assert verdict.measured == WORDS
    assert "start again with break_lock=manual__1, 300 s after its last" in verdict.next_step


@pytest.mark.parametrize("token", ["2", ""], ids=["of another Airflow", "that was not identified"])
def test_another_run_of_the_same_id_is_not_the_holder(token: str) -> None:
    verdict = judge_lock("prod", DEAD, RunIdentity("manual__1", token=token), "", 300)
    assert not verdict.ok
    assert verdict.measured == f"{WORDS}, which is another run of the same id"


def test_a_lock_of_an_earlier_version_has_no_token_and_is_nobodys_own() -> None:
    holder = LockHolder("manual__1", "host-a:/airflow", SINCE, 900)
    assert not judge_lock("prod", holder, RunIdentity("manual__1"), "", 300).ok


def test_the_holder_is_named_with_its_dag() -> None:
    holder = LockHolder("manual__1", "host-a:/airflow", SINCE, 900, "keystone_upgrade", "1")
    words = "held by run manual__1 of keystone_upgrade at host-a:/airflow since 2026-01-02"
    assert str(holder).startswith(words)


def test_a_dead_runs_lock_is_broken_only_by_its_name() -> None:
    verdict = judge_lock("prod", DEAD, OTHER, "manual__1", 300)
    assert verdict.ok
    assert verdict.measured == f"{WORDS}; broken deliberately"
    assert not judge_lock("prod", DEAD, OTHER, "manual__9", 300).ok


def holder_of(silent: int) -> LockHolder:
    return LockHolder("manual__1", "host-a:/airflow", "2026-01-02 03:04:05", silent)


@pytest.mark.parametrize("silent", [-300, -86_400])
def test_a_heartbeat_from_the_future_is_told_and_keeps_no_lock_from_being_broken(
    silent: int,
) -> None:
    words = f"heartbeat {-silent} s in the future: the database's clock was set back since"
    refused = judge_lock("prod", holder_of(silent), OTHER, "", 300)
    assert not refused.ok
    assert refused.measured.endswith(words)
    verdict = judge_lock("prod", holder_of(silent), OTHER, "manual__1", 300)
    assert verdict.ok
    assert verdict.measured.endswith(f"{words}; broken deliberately")


def test_a_heartbeat_just_ahead_may_be_of_a_run_that_lives() -> None:
    assert not judge_lock("prod", holder_of(-299), OTHER, "manual__1", 300).ok


@pytest.mark.parametrize(("silent", "ok"), [(299, False), (300, True)])
def test_a_lock_that_was_heard_of_lately_cannot_be_broken(silent: int, ok: bool) -> None:
    verdict = judge_lock("prod", holder_of(silent), OTHER, "manual__1", 300)
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
    verdict = judge_held("prod", holder, OTHER, released)
    assert (verdict.ok, verdict.measured) == (False, measured)
    assert verdict.next_step.startswith(next_step)
    assert verdict.limit == "held by run run-2"


def test_the_holder_holds_it() -> None:
    assert judge_held("prod", DEAD, RunIdentity("manual__1", token="1"), False).ok
    assert not judge_held("prod", DEAD, RunIdentity("manual__1", token="7"), False).ok


def test_a_token_that_another_runs_row_still_has_makes_no_holder() -> None:
    assert not judge_lock("prod", DEAD, RunIdentity("manual__7", token="1"), "", 300).ok
