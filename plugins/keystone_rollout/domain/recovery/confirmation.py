"""Ask for a phrase that names the backup and bounds the loss, and read it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from keystone_rollout.domain.run.events import RestoreChanged
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.domain.units import duration, moment

MARGIN_WRITES = 100
SHOWN_TABLES = 8


def phrase(backup: str, writes: int) -> str:
    """Return the phrase that agrees to losing up to so many writes to a backup."""
    return f"restore {backup}, losing at most {writes} writes"


def proposed_bound(total: int) -> int:
    """Return a bound that still holds if clients write for a while longer."""
    wanted = total + max(MARGIN_WRITES, total // 10)
    return -(-wanted // MARGIN_WRITES) * MARGIN_WRITES


def agreed_bound(said: str, backup: str) -> int | None:
    """Return how many writes may be lost to this very backup; None if nobody agreed to that."""
    match = re.fullmatch(
        re.escape(f"restore {backup}, losing at most ") + r"(\d+) writes", said.strip()
    )
    return int(match[1]) if match else None


def objection(said: str, backup: str, total: int) -> str | None:
    """Say why a confirmation does not allow this restore, or return None if it does."""
    if not said.strip():
        return "param confirm is empty"
    bound = agreed_bound(said, backup)
    if bound is None:
        return f"param confirm says {said!r}, which does not name {backup} and how much may be lost"
    if total > bound:
        return f"{total} writes would be lost, param confirm allows {bound}"
    return None


def refusal(reason: str, section: RestoreChanged, source: str) -> str:
    """Return everything an operator should know before agreeing; it ends with the phrase to say.

    ``section`` is domain.recovery.restore's; ``source`` names the release to restore.
    """
    loss, backup = section.planned or Difference(), section.backup or ""
    taken = section.taken or 0.0
    affected = loss.affected
    tables = "; ".join(str(table) for table in affected[:SHOWN_TABLES])
    if len(affected) > SHOWN_TABLES:
        tables += f"; and {len(affected) - SHOWN_TABLES} more tables"
    blind = sum(not table.by_key for table in loss.tables)
    parts = [
        f"{reason}. Nothing was touched",
        f"Restoring {source} from backup {backup}, taken {moment(taken)} "
        f"({duration(section.age_seconds or 0.0)} ago), undoes {loss.sentence()}",
        f"By table: {tables}" if tables else "",
        f"Tables compared by their number of rows only, for lack of a common primary key: {blind}"
        if blind
        else "",
        ""
        if section.swap_needed
        else "The schema already stands where the backup does and "
        "stays as it is; only nodes are rolled back",
        _expected_downtime(section.last_downtime),
        section.hint or "",
        f"Next: to do it, start keystone_restore again with param confirm: "
        f"{phrase(section.backup or '', proposed_bound(loss.total))}",
    ]
    return ". ".join(part for part in parts if part)


def _expected_downtime(last: Sequence[float] | None) -> str:
    if last is None:
        return "Nobody is served meanwhile; for how long was never measured here"
    return (
        f"Nobody is served meanwhile; the last time it took {duration(last[0])} until the first "
        f"server served, {duration(last[1])} until all did"
    )
