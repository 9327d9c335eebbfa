"""What keystone-manage wrote: error lines, doctor's symptoms, and the policy on them."""

from __future__ import annotations

from keystone_rollout.domain.schema.keystone_log import (
    database_errors,
    error_lines,
    symptoms,
    unaccepted,
)

GOOD = """\
2026-03-01 10:00:00.001 7 INFO migrate.versioning.api [-] 24 -> 25... 
2026-03-01 10:00:00.101 7 INFO migrate.versioning.api [-] done
2026-03-01 10:00:00.102 7 WARNING keystone.common [-] an ERROR that is only a word
""".splitlines()  # noqa: W291 (Keystone's own trailing blank)
DOCTOR = """\

WARNING: `keystone.conf [cache] enabled` is not enabled.
  Caching greatly improves the performance of keystone.

WARNING: `keystone.conf [DEFAULT] debug` is enabled.
""".splitlines()


def test_a_good_log_has_no_error_line() -> None:
    assert error_lines(GOOD) == []


def test_errors_critical_lines_and_uncaught_exceptions_are_found() -> None:
    bad = [
        "2026-03-01 10:00:00.200 7 ERROR keystone [-] (pymysql.err.InternalError) (1419, ...)",
        "2026-03-01 10:00:00.201 7 CRITICAL keystone [-] Unhandled error",
        "Traceback (most recent call last):",
        '  File "/usr/bin/keystone-manage", line 10, in <module>',
        "sqlalchemy.exc.OperationalError: (1060, Duplicate column name)",
        "keystone.exception.UnexpectedException: boom",
    ]
    assert error_lines([*GOOD, *bad]) == [bad[0], bad[1], bad[2], bad[4], bad[5]]


def test_the_servers_errors_are_read_in_both_pythons_spelling() -> None:
    lines = [
        "... ERROR keystone (pymysql.err.InternalError) (1205, u'Lock wait timeout exceeded') [SQL",
        "DBMigrationError: (1060, \"Duplicate column name 'a'\") and (1205, 'once more')",
        "version (2026, or so), 24 -> 25, (12345, 'no')",
    ]
    assert database_errors(lines) == {
        1205: "Lock wait timeout exceeded",
        1060: "Duplicate column name 'a'",
    }


def test_symptoms_are_the_warnings_that_doctor_prints() -> None:
    assert symptoms(DOCTOR) == [
        "`keystone.conf [cache] enabled` is not enabled.",
        "`keystone.conf [DEFAULT] debug` is enabled.",
    ]


def test_a_symptom_is_accepted_by_a_part_of_its_line() -> None:
    found = symptoms(DOCTOR)
    assert unaccepted(found, ["[cache] enabled", "debug"]) == []
    assert unaccepted(found, ["[cache] enabled"]) == [found[1]]
    assert unaccepted(found, []) == found
