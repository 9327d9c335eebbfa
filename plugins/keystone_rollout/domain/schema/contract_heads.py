"""Tell whether a hop's contract removes anything, from the end of each release's contract.

A rollback starts on a database in which the next release may have contracted already, and only the
target's image is at hand. The end of a published release's contract does not change; a release that
is missing here counts as unknown.
"""

from __future__ import annotations

from keystone_rollout.domain.releases.catalogue import catalogue
from keystone_rollout.domain.schema.state import MigrationState
from keystone_rollout.domain.schema.versions import (
    REPOSITORIES,
    Phase,
    RecordedVersions,
    VersionTable,
)


def contracted_past(major: int, state: MigrationState) -> bool | None:
    """Tell whether contract has gone past a release's head; None if that is unknown."""
    series, at = catalogue().series(major), state.version(Phase.CONTRACT)
    if series is None:
        return None
    head = series.contract_head
    if state.recorded.table is VersionTable.MIGRATE:
        return int(at) > int(head) if head.isdecimal() else None
    order = ["", state.image.base, *(each.version for each in state.image.of(Phase.CONTRACT))]
    if head.isdecimal():
        head = (
            state.image.base
        )  # taken over from migrate_version: no migration of alembic's has run yet
    return order.index(at) > order.index(head) if {head, at} <= set(order) else None


def contract_mark(recorded: RecordedVersions) -> str:
    """Return how far contract has come, as far as the table says it without an image.

    Two databases of one cloud with different marks are not contracted alike.
    """
    if recorded.table is VersionTable.MIGRATE:
        return str(recorded.repositories[REPOSITORIES[Phase.CONTRACT]])
    heads = {series.contract_head for series in catalogue().releases}
    return " + ".join(each for each in recorded.revisions if each in heads)
