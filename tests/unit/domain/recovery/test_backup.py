"""Is what was restored what was there when it was dumped?"""

from __future__ import annotations

from keystone_rollout.domain.recovery.backup import TableState, judge_backup

BEFORE = {"user": TableState(11, 2000), "project": TableState(22, 200), "token": TableState(0, 0)}


def judged(after: dict[str, TableState], restored: dict[str, TableState]) -> tuple[bool, str]:
    verdict = judge_backup(BEFORE, after, restored, "lab.sql")
    return verdict.ok, verdict.measured


def test_identical_tables_are_a_good_backup() -> None:
    assert judged(BEFORE, BEFORE) == (
        True,
        "3 tables with 2200 rows restored from lab.sql, 3 identical to the live ones, "
        "0 written to meanwhile",
    )


def test_a_table_that_clients_wrote_to_may_differ() -> None:
    after = {**BEFORE, "user": TableState(12, 2003)}
    ok, measured = judged(after, {**BEFORE, "user": TableState(13, 2001)})
    assert ok
    assert measured.endswith("2 identical to the live ones, 1 written to meanwhile")


def test_an_unchanged_table_that_differs_is_named() -> None:
    ok, measured = judged(BEFORE, {**BEFORE, "project": TableState(99, 200)})
    assert not ok
    assert measured.endswith("; wrong: project")


def test_a_missing_and_an_emptied_table_are_named() -> None:
    after = {**BEFORE, "user": TableState(12, 2003)}
    ok, measured = judged(after, {"user": TableState(0, 0), "token": TableState(0, 0)})
    assert not ok
    assert measured.endswith("; wrong: project, user")


def test_a_schema_without_tables_is_no_backup() -> None:
    verdict = judge_backup({}, {}, {}, "lab.sql")
    assert str(verdict) == (
        "FAILED backup (lab.sql): measured the schema has no tables, limit every table restored, "
        "unchanged ones identical. Consequence: there is no way back after contract, so no phase "
        "is started. Next: look at the dump and at the scratch database's server, then clear this "
        "task"
    )
