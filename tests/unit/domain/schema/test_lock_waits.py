"""What polls of the server's sessions add up to, and what is said about it."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.run.events import LocksWatched
from keystone_rollout.domain.schema.lock_waits import (
    LockWaits,
    OpenTransaction,
    WaitingQuery,
    statement_head,
)

ALTER = WaitingQuery(7, 0, "ALTER TABLE trust ADD expires_at_int BIGINT")
HOLDER = OpenTransaction(3, "report", 340)


def at(seconds: float, query: WaitingQuery = ALTER) -> WaitingQuery:
    return WaitingQuery(query.thread, seconds, query.statement)


def test_quiet_polls_are_a_measurement() -> None:
    waits = LockWaits("expand", 5)
    assert [waits.look(t, [], []) for t in (0.0, 0.5)] == [None, None]
    assert str(waits.verdict()) == (
        "ok metadata locks (expand): measured longest wait 0.0 s, 0 at once, 2 polls, limit at "
        "most 7 s: lock_wait_timeout 5 s + 2 s"
    )
    assert waits.event() == LocksWatched(
        phase="expand", polls=2, most_waiting=0, longest_seconds=0.0, statements=[]
    )


def test_the_longest_wait_is_measured_by_our_clock_and_the_servers() -> None:
    waits = LockWaits("expand", 5)
    client = WaitingQuery(9, 0, "SELECT * FROM trust WHERE id = 'abc'")
    for t, queries in ((0.0, [at(0)]), (0.5, [at(0), client]), (3.2, [at(3), client]), (3.7, [])):
        waits.look(t, queries, [HOLDER])
    assert (waits.longest_seconds, waits.most_waiting, waits.waiting_now) == (3.2, 2, 0)
    late = LockWaits("expand", 5)
    late.look(0.0, [at(4)], [])
    assert late.longest_seconds == 4
    assert waits.event().statements == [
        "ALTER TABLE trust ADD expires_at_int BIGINT",
        "SELECT * FROM trust WHERE id = ?",
    ]


def test_a_session_that_waits_twice_did_not_wait_all_the_time() -> None:
    waits = LockWaits("expand", 5)
    waits.look(0.0, [at(3)], [])
    waits.look(6.0, [at(0)], [])
    assert waits.longest_seconds == 3
    waits.look(6.5, [WaitingQuery(7, 0, "ALTER TABLE other ADD x INT")], [])
    waits.look(9.0, [WaitingQuery(7, 2, "ALTER TABLE other ADD x INT")], [])
    assert waits.longest_seconds == 3


def test_beginning_and_end_of_waits_are_told_once() -> None:
    waits = LockWaits("expand", 5)
    lines = [waits.look(t, queries, [HOLDER]) for t, queries in (
        (0.0, [at(0)]), (0.5, [at(0)]), (1.0, []), (1.5, []),
    )]  # fmt: skip
    assert lines == [
        "expand: waits for a metadata lock have begun, 1 at once: ALTER TABLE trust ADD "
        "expires_at_int BIGINT; the longest open transaction is thread 3 of user report, open for "
        "340 s",
        None,
        "expand: nothing waits for a metadata lock any more, longest wait 0.5 s, 1 at once",
        None,
    ]


def test_a_wait_beyond_the_limit_is_violated() -> None:
    waits = LockWaits("contract", 5)
    waits.look(0.0, [at(8)], [HOLDER])
    verdict = waits.verdict()
    assert not verdict.ok
    assert str(verdict) == (
        "FAILED metadata locks (contract): measured longest wait 8.0 s, 1 at once, 1 polls, limit "
        "at most 7 s: lock_wait_timeout 5 s + 2 s. Consequence: clients whose queries need that "
        "table may have waited as long; nothing further was started. Next: find out what held the "
        "lock (thread 3 of user report, open for 340 s), then start the upgrade again: a phase "
        "that is done is not run twice"
    )


def test_what_was_not_seen_is_no_good_verdict() -> None:
    assert LockWaits("expand", 5).verdict().measured == "never measured"
    assert not LockWaits("expand", 5).verdict().ok
    waits = LockWaits("expand", 5)
    waits.look(0.0, [], [])
    waits.lose_sight("poll 2 failed: server has gone away")
    assert not waits.verdict().ok
    assert waits.verdict().measured == (
        "not measured to the end: poll 2 failed: server has gone away"
    )


def test_the_holder_is_the_longest_transaction_that_does_not_wait_itself() -> None:
    waits = LockWaits("expand", 5)
    waits.look(0.0, [], [OpenTransaction(1, "early", 9000)])
    assert waits.holder is None
    waiting = OpenTransaction(ALTER.thread, "keystone", 900)
    waits.look(0.5, [at(0)], [waiting, HOLDER, OpenTransaction(4, "keystone", 2)])
    assert waits.holder == HOLDER
    waits.look(1.0, [at(0)], [OpenTransaction(4, "keystone", 3)])
    assert waits.holder == HOLDER


def test_only_the_first_statements_are_kept() -> None:
    waits = LockWaits("expand", 5)
    waits.look(0.0, [WaitingQuery(n, 0, f"SELECT a{n}") for n in range(9)], [])
    waits.look(0.5, [WaitingQuery(0, 0, "SELECT a0")], [])
    assert waits.statements == [f"SELECT a{n}" for n in range(5)]
    assert waits.most_waiting == 9


@pytest.mark.parametrize(
    ("statement", "head"),
    [
        ("SELECT *\n  FROM `user 1`  WHERE id='a''b' AND x = \"c\\\"d\"",
         "SELECT * FROM `user 1` WHERE id=? AND x = ?"),
        ("INSERT INTO t VALUES (1, -2.5e3, 0xBEEF, 'hash', x'00')",
         "INSERT INTO t VALUES (?, -?, ?, ?, x?)"),
        ("SELECT col1 FROM t2 -- pw 'x\nWHERE a1 = 3", "SELECT col1 FROM t2 WHERE a1 = ?"),
        ("SELECT /* it's */ 1 # 'end", "SELECT ?"),
        ("SELECT 'a -- \n', 'secret'", "SELECT ?, ?"),
        ("SELECT '/*', 'secret', '*/'", "SELECT ?, ?, ?"),
        ("SELECT `a'b`, 'secret'", "SELECT `a'b`, ?"),
        ("UPDATE t SET p = 'cut off in the mid", "UPDATE t SET p = ?"),
        ("SELECT 'ends with a backslash\\", "SELECT ?"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_statements_head_holds_no_data(statement: str, head: str) -> None:
    assert statement_head(statement) == head


def test_a_long_statement_is_cut() -> None:
    head = statement_head("SELECT " + ", ".join(f"column_{n}" for n in range(40)))
    assert len(head) == 80
    assert head.endswith("…")
