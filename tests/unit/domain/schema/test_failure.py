"""Why a phase failed, in words: a lock, a schema that holds half a migration, or something else."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.schema.failure import PhaseOutcome, describe_failure
from keystone_rollout.domain.schema.lock_waits import LockWaits, OpenTransaction, WaitingQuery
from keystone_rollout.domain.schema.versions import Phase
from tests.stand_ins.image_listings import alembic, legacy

CRITICAL = "2026-03-01 10:00:00.200 7 CRITICAL keystone [-] Unhandled error: DBMigrationError: "
TIMEOUT = (
    CRITICAL + "(pymysql.err.InternalError) (1205, u'Lock wait timeout exceeded; try restarting "
    "transaction') [SQL: u'\\nALTER TABLE trust ADD expires_at_int BIGINT']"
)
MEASURED = (
    "expand failed: measured keystone_expand at 31, exit status 1, 1 error line(s) in "
    "keystone.log; limit: head 44, exit status 0, 0 error lines."
)


def waits(*, seen: bool = True, holder: bool = True, left: bool = False) -> LockWaits:
    found = LockWaits("expand", 5)
    query = WaitingQuery(7, 4, "ALTER TABLE trust ADD expires_at_int BIGINT")
    open_ = [OpenTransaction(3, "report", 340)] if holder else []
    found.look(0.0, [query] if seen else [], open_)
    if seen and not left:
        found.look(0.5, [], open_)
    return found


def outcome(
    *lines: str, phase: Phase = Phase.EXPAND, watched: LockWaits | None = None, status: int = 1
) -> PhaseOutcome:
    return PhaseOutcome(phase, status, lines, legacy(31, 31, 31), watched or waits(seen=False))


def test_a_lock_that_was_not_given_names_the_limit_its_holder_and_the_next_step() -> None:
    assert describe_failure(outcome(TIMEOUT, watched=waits()), "dump.sql") == (
        f"{MEASURED} Error 1205: a migration waited for a table's metadata lock longer than "
        "lock_wait_timeout 5 s allows, and gave up (longest wait 4.0 s, 1 at once). Nothing is "
        "queued any more. All nodes still serve the old release. It was held, as far as could be "
        "seen, by thread 3 of user report, open for 340 s. Next: end that transaction (KILL 3) or "
        "wait for its end, then start the upgrade again: it goes on where it stopped"
    )


def test_a_holder_that_was_not_seen_is_said() -> None:
    text = describe_failure(outcome(TIMEOUT, watched=waits(holder=False)), "dump.sql")
    assert (
        "Who held it was not seen: look for LOCK TABLES, a dump or a backup. Next: end it" in text
    )


def test_that_nothing_is_queued_is_not_claimed_unseen() -> None:
    assert "Still queued: 1." in describe_failure(outcome(TIMEOUT, watched=waits(left=True)), "")
    blind = waits()
    blind.lose_sight("poll 3 failed: gone")
    assert "Whether anything is still queued is not known: poll 3 failed: gone." in (
        describe_failure(outcome(TIMEOUT, watched=blind), "")
    )


def test_a_row_lock_is_not_taken_for_a_metadata_lock() -> None:
    text = describe_failure(outcome(TIMEOUT), "dump.sql")
    assert "the server's innodb_lock_wait_timeout; no wait for a metadata lock was seen" in text
    assert "lock_wait_timeout 5 s" not in text


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1050, "Table 'project_tag' already exists"),
        (1060, "Duplicate column name 'expires_at_int'"),
        (1061, "Duplicate key name 'ix_default_project_id'"),
        (1062, "Duplicate entry 'x' for key 'PRIMARY'"),
        (1091, "Can't DROP COLUMN `system`; check that it exists"),
        (1359, "Trigger already exists"),
    ],
)
def test_half_a_migration_in_the_schema_is_recognised(number: int, said: str) -> None:
    line = f'{CRITICAL}(pymysql.err.InternalError) ({number}, "{said}") [SQL: ...]'
    assert describe_failure(outcome(line), "/srv/dump.sql") == (
        f"{MEASURED} Error {number}: {said}. The phase was interrupted half-way before: the schema "
        "holds a part of migration 032_expand_add_expired_at_int_to_trust. All nodes still serve "
        "the old release. Next, one of two: undo by hand the part that this migration has done "
        "already (its script in the image names every statement), then start the upgrade again; or "
        "restore the verified backup /srv/dump.sql, which loses what was written since"
    )


def test_anything_else_shows_the_first_error_without_data() -> None:
    line = f"{CRITICAL}boom [parameters: ('pbkdf2-hash',)]"
    text = describe_failure(outcome(line, "Traceback (most recent call last):"), "dump.sql")
    assert "2 error line(s)" in text
    assert f"First error: {CRITICAL}boom. All nodes still serve the old release. Next: read" in text
    assert "pbkdf2" not in text
    long = describe_failure(outcome(CRITICAL + "x" * 900), "dump.sql")
    assert "x…. All nodes" in long
    assert len(long) < 800


def test_a_phase_that_ended_below_the_head_says_so() -> None:
    text = describe_failure(outcome(status=0), "dump.sql")
    assert text.startswith("expand failed: measured keystone_expand at 31, exit status 0, 0 error")
    assert "First error" not in text


def test_after_contract_has_begun_nobody_is_promised_the_old_release() -> None:
    text = describe_failure(outcome(TIMEOUT, phase=Phase.CONTRACT, watched=waits()), "dump.sql")
    assert "All nodes serve the new release; the old one cannot come back." in text
    assert "old release" not in text


@pytest.mark.parametrize(
    ("status", "lines", "after", "ok"),
    [
        (0, [], 44, True),
        (1, [], 44, False),
        (0, [TIMEOUT], 44, False),
        (0, [], 43, False),
    ],
)
def test_a_phase_succeeded_by_all_three_measures_only(
    status: int, lines: list[str], after: int, ok: bool
) -> None:
    found = PhaseOutcome(Phase.EXPAND, status, lines, legacy(after, 24, 24), waits())
    assert found.succeeded is ok


def test_a_branch_below_its_head_is_named_with_the_migration_that_was_cut() -> None:
    state = alembic("25.0.0", "b4f8b3f584e0", "e25ffa003242")
    line = f"{CRITICAL}(pymysql.err.OperationalError) (1060, \"Duplicate column name 'x'\")"
    text = describe_failure(PhaseOutcome(Phase.EXPAND, 1, [line], state, waits()), "dump.sql")
    assert text.startswith(
        "expand failed: measured branch expand at b4f8b3f584e0, exit status 1, 1 error line(s) in "
        "keystone.log; limit: head 47147121, exit status 0, 0 error lines. Error 1060: "
    )
    assert (
        "a part of migration 11c3b243b4cb_remove_service_provider_relay_state_server_default. All"
        in text
    )


def test_a_revision_that_nobody_knows_is_no_success_and_is_named() -> None:
    state = alembic("25.0.0", "47147121", "c88cdce8f248", "ffff")
    outcome_ = PhaseOutcome(Phase.EXPAND, 0, [], state, waits())
    assert not outcome_.succeeded
    text = describe_failure(outcome_, "dump.sql")
    assert text.startswith("expand failed: measured alembic_version holds ffff, which the image")
    assert "compare alembic_version with the schema, then clear this task" in text


def test_an_expand_that_did_not_take_the_schema_over_says_so() -> None:
    state = legacy(79, 79, 79, "22.0.2")
    text = describe_failure(PhaseOutcome(Phase.EXPAND, 1, [], state, waits()), "dump.sql")
    assert text.startswith(
        "expand failed: measured migrate_version at 79/79/79, not taken over to alembic_version, "
        "exit status 1, 0 error line(s) in keystone.log; limit: head 29e87d24a316"
    )
