"""Explain why a phase failed, how the cloud is left, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keystone_rollout.domain.schema.keystone_log import (
    HALF_DONE,
    LOCK_WAIT_TIMEOUT,
    database_errors,
    error_lines,
)
from keystone_rollout.domain.schema.lock_waits import LockWaits
from keystone_rollout.domain.schema.state import MigrationState, refused
from keystone_rollout.domain.schema.versions import Phase

ERROR_LENGTH = 300
STILL_SERVING = {
    Phase.EXPAND: "All nodes still serve the old release",
    Phase.MIGRATE: "All nodes still serve the old release",
    Phase.CONTRACT: "All nodes serve the new release; the old one cannot come back",
}


@dataclass(frozen=True)
class PhaseOutcome:
    """The result of one run of a phase: exit status, log, versions, waits for locks."""

    phase: Phase
    status: int
    lines: Sequence[str]
    after: MigrationState
    waits: LockWaits

    @property
    def errors(self) -> list[str]:
        """Return the log's error lines."""
        return error_lines(self.lines)

    @property
    def succeeded(self) -> bool:
        """Tell whether the phase is done: by the version table, the exit status and the log."""
        return self.status == 0 and not self.errors and self.after.is_done(self.phase)


def describe_failure(outcome: PhaseOutcome, backup: str) -> str:
    """Return one message: measured, limit, cause, consequence, next step.

    ``backup`` is the path of the verified dump, in case the schema has to be restored.
    """
    phase, found = outcome.phase, database_errors(outcome.errors)
    measured = (
        f"{phase.value} failed: measured {_measured(outcome)}, exit status {outcome.status}, "
        f"{len(outcome.errors)} error line(s) in keystone.log; limit: head "
        f"{outcome.after.head(phase)}, exit status 0, 0 error lines"
    )
    serving = STILL_SERVING[phase]
    half = next((each for each in found.items() if each[0] in HALF_DONE), None)
    if LOCK_WAIT_TIMEOUT in found:
        return f"{measured}. {_lock_wait(outcome.waits)} {serving}. {_after_lock_wait(outcome)}"
    if half is not None:
        return f"{measured}. {_half_done(outcome, *half)} {serving}. {_ways_out(backup)}"
    first = f" First error: {_error(outcome.errors[0])}." if outcome.errors else ""
    return (
        f"{measured}.{first} {serving}. Next: read the log above, remove the cause, compare "
        f"{outcome.after.recorded.table} with the schema, then clear this task"
    )


def describe_unknown_end(
    phase: Phase, before: MigrationState, after: MigrationState
) -> tuple[str, str]:
    """Return how the schema stands after a phase whose end nobody saw, and the next step."""
    again = "start the upgrade again: it waits for the container if that still runs, then "
    shows = f"{after.recorded.table} shows {after} (heads {after.image})"
    if reason := refused(after):
        return f"{shows}: {reason}. {STILL_SERVING[phase]}", "find out who changed the schema"
    if after.is_done(phase):
        return (
            f"{shows}: {phase.value} is complete. {STILL_SERVING[phase]}",
            f"{again}finds {phase.value} done and goes on",
        )
    missing, planned = after.pending(phase), before.pending(phase)
    if after.recorded == before.recorded:
        how = f"{phase.value} has not begun, as far as is recorded"
    else:
        how = f"{phase.value} is half done: {len(missing)} of {len(planned)} migrations are missing"
    part = missing[0] if missing else "of it"
    return (
        f"{shows}: {how}, and migration {part} may be done in part. {STILL_SERVING[phase]}",
        f"{again}runs what is missing. If a part of a migration was done, it fails at that part "
        "and says how to get out",
    )


def _measured(outcome: PhaseOutcome) -> str:
    """Return the phase's present version, or the recorded versions that the image does not know."""
    state, phase = outcome.after, outcome.phase
    if state.takes_over:
        return f"migrate_version at {state.recorded}, not taken over to alembic_version"
    return refused(state) or f"{state.row(phase)} at {state.version(phase) or 'none'}"


def _lock_wait(waits: LockWaits) -> str:
    if not waits.most_waiting:
        return (
            f"Error {LOCK_WAIT_TIMEOUT}: a row was locked by another transaction for longer than "
            "the server's innodb_lock_wait_timeout; no wait for a metadata lock was seen."
        )
    return (
        f"Error {LOCK_WAIT_TIMEOUT}: a migration waited for a table's metadata lock longer than "
        f"lock_wait_timeout {waits.lock_wait_timeout} s allows, and gave up ({waits.measured}). "
        f"{_queue(waits)}."
    )


def _queue(waits: LockWaits) -> str:
    if waits.blind is not None:
        return f"Whether anything is still queued is not known: {waits.blind}"
    if waits.waiting_now:
        return f"Still queued: {waits.waiting_now}"
    return "Nothing is queued any more"


def _after_lock_wait(outcome: PhaseOutcome) -> str:
    holder = outcome.waits.holder
    held = (
        f"It was held, as far as could be seen, by {holder}"
        if holder is not None
        else "Who held it was not seen: look for LOCK TABLES, a dump or a backup"
    )
    end = f"end that transaction (KILL {holder.thread})" if holder is not None else "end it"
    return (
        f"{held}. Next: {end} or wait for its end, then start the upgrade again: it goes on where "
        "it stopped"
    )


def _half_done(outcome: PhaseOutcome, number: int, text: str) -> str:
    pending = outcome.after.pending(outcome.phase)
    part = f"migration {pending[0]}" if pending else "a migration"
    return (
        f"Error {number}: {text}. The phase was interrupted half-way before: the schema holds a "
        f"part of {part}."
    )


def _ways_out(backup: str) -> str:
    return (
        "Next, one of two: undo by hand the part that this migration has done already (its "
        "script in the image names every statement), then start the upgrade again; or "
        f"restore the verified backup {backup}, which loses what was written since"
    )


def _error(line: str) -> str:
    """Return an error without the values of its statement, which may be somebody's data."""
    text = " ".join(line.partition("[parameters:")[0].split()).rstrip(".")
    return text if len(text) <= ERROR_LENGTH else f"{text[: ERROR_LENGTH - 1]}…"
