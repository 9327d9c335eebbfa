"""Know where each release's contract ends, to tell whether a hop's contract takes anything away.

A rollback starts on a database in which the next release may have contracted already, and only
the target's image is at hand. What a published release ended at is history and does not change;
a release that is missing here counts as not known.
"""

from __future__ import annotations

from rollout.migration_state import MigrationState
from rollout.version_table import REPOSITORIES, Phase, RecordedVersions, VersionTable

_INITIAL, _CONSTRAINTS = "e25ffa003242", "c88cdce8f248"
CONTRACT_HEADS = {
    10: "4",
    11: "16",
    12: "24",
    13: "44",
    14: "52",
    15: "61",
    16: "71",
    17: "78",
    18: "78",
    19: "79",
    20: "79",
    21: "79",
    22: _INITIAL,
    23: _INITIAL,
    24: _CONSTRAINTS,
    25: _CONSTRAINTS,
    26: _CONSTRAINTS,
    27: _CONSTRAINTS,
    28: _CONSTRAINTS,
    29: _CONSTRAINTS,
    30: _CONSTRAINTS,
}
"""Keystone's major version, and the contract number or revision its newest version ends at."""


def contracted_past(major: int, state: MigrationState) -> bool | None:
    """Tell whether contract has gone past a release's head; None where that cannot be told."""
    head, at = CONTRACT_HEADS.get(major), state.version(Phase.CONTRACT)
    if head is None:
        return None
    if state.recorded.table is VersionTable.MIGRATE:
        return int(at) > int(head) if head.isdecimal() else None
    order = ["", state.image.base, *(each.version for each in state.image.of(Phase.CONTRACT))]
    if head.isdecimal():
        head = state.image.base  # taken over from migrate_version: nothing of alembic's has run yet
    return order.index(at) > order.index(head) if {head, at} <= set(order) else None


def contract_mark(recorded: RecordedVersions) -> str:
    """Return how far contract has come as far as the table says it without an image.

    Two databases of one cloud with different marks are not contracted alike.
    """
    if recorded.table is VersionTable.MIGRATE:
        return str(recorded.repositories[REPOSITORIES[Phase.CONTRACT]])
    return " + ".join(each for each in recorded.revisions if each in CONTRACT_HEADS.values())
