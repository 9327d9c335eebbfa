"""Place a database's schema against the migrations of an upgrade image.

The exit status of `keystone-manage db_sync` is not trusted: before and after each phase the version
table is compared with the migrations of the upgrade image. One model covers both tables, and the
hop from the one to the other (Yoga to Zed or 2023.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from keystone_rollout.domain.schema.migrations import ImageMigrations, Migration
from keystone_rollout.domain.schema.versions import (
    REPOSITORIES,
    Phase,
    RecordedVersions,
    VersionTable,
)

BRANCHES = (Phase.EXPAND, Phase.CONTRACT)
"""The phases in which alembic keeps a branch; `migrate` has none."""


@dataclass(frozen=True)
class MigrationState:
    """The recorded versions, together with the image that should migrate the schema."""

    recorded: RecordedVersions
    image: ImageMigrations

    @property
    def takes_over(self) -> bool:
        """Tell whether expand has to take the schema from `migrate_version` to alembic."""
        return (
            self.recorded.table is VersionTable.MIGRATE and self.image.table is VersionTable.ALEMBIC
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return the recorded revisions that the image does not carry."""
        known = {each.version for each in self.image.migrations} | {self.image.base}
        return tuple(each for each in self.recorded.revisions if each not in known)

    def revisions(self, phase: Phase) -> tuple[str, ...]:
        """Return the recorded revisions that belong to a phase's branch, in the image's order."""
        own = [each.version for each in self.image.of(phase)]
        return tuple(each for each in own if each in self.recorded.revisions)

    def version(self, phase: Phase) -> str:
        """Return a phase's recorded version: a number, a revision, or empty if there is none.

        A branch without a recorded revision of its own stands at the base, if that is recorded.
        """
        if self.recorded.table is VersionTable.MIGRATE:
            return str(self.recorded.repositories[REPOSITORIES[phase]])
        if phase not in BRANCHES:
            return ""
        base = self.image.base if self.image.base in self.recorded.revisions else ""
        return self.revisions(phase)[-1] if self.revisions(phase) else base

    def head(self, phase: Phase) -> str:
        """Return the version to which the image takes a phase; empty if it does nothing in it."""
        return self.image.head(phase)

    def is_done(self, phase: Phase) -> bool:
        """Tell whether the schema stands at a phase's head, and in the image's table."""
        same_table = self.recorded.table is self.image.table
        return same_table and not self.unknown and self.version(phase) == self.head(phase)

    def pending(self, phase: Phase) -> tuple[Migration, ...]:
        """Return the migrations that a phase has yet to run, in order."""
        own = self.image.of(phase)
        if self.recorded.table is not self.image.table:
            return own
        if self.image.table is VersionTable.MIGRATE:
            return tuple(each for each in own if int(each.version) > int(self.version(phase)))
        at = self.version(phase)
        done = next((place for place, each in enumerate(own, 1) if each.version == at), 0)
        return own[done:]

    def row(self, phase: Phase) -> str:
        """Name the record of a phase's progress: a repository, or a branch of alembic."""
        if self.recorded.table is VersionTable.MIGRATE and not self.takes_over:
            return REPOSITORIES[phase]
        return f"branch {phase.value}"

    def by_phase(self) -> dict[str, str]:
        """Return every phase's version as plain data, for XCom and the report."""
        return {phase.value: self.version(phase) for phase in Phase}

    def __str__(self) -> str:
        """Return `44/44/24`, or the versions of alembic's branches; unknown rows as they are."""
        if self.recorded.table is VersionTable.MIGRATE or refused(self):
            return str(self.recorded)
        return ", ".join(f"{phase.value} {self.version(phase) or 'none'}" for phase in BRANCHES)


def blocked_by(phase: Phase, state: MigrationState) -> str | None:
    """Say why a phase must not start, or return None if it may.

    Keystone before Pike has no guard of its own against phases out of order.
    """
    if reason := refused(state):
        return reason
    order = list(Phase)
    for earlier in order[: order.index(phase)]:
        if not state.is_done(earlier):
            at = state.version(earlier) if not state.takes_over else ""
            return (
                f"{state.row(earlier)} stands at {at or 'none'}, head is "
                f"{state.head(earlier)}: {earlier.value} has to be finished before {phase.value}"
            )
    return None


def refused(state: MigrationState) -> str | None:
    """Say why the image must not touch this schema in any phase, or return None."""
    if state.recorded.table is VersionTable.ALEMBIC:
        return _refused_revisions(state)
    for phase in Phase:
        reason = (_not_taken_over if state.takes_over else _out_of_range)(state, phase)
        if reason:
            return reason
    return None


def _refused_revisions(state: MigrationState) -> str | None:
    if state.image.table is VersionTable.MIGRATE:
        return (
            f"alembic_version holds {state.recorded}, and the image records in migrate_version: "
            "the database belongs to a later release (Zed or newer)"
        )
    if state.unknown:
        return (
            f"alembic_version holds {', '.join(state.unknown)}, which the image does not carry "
            f"(its heads: {state.image}): the database belongs to a later release or to a private "
            "build"
        )
    for phase in BRANCHES:
        if len(state.revisions(phase)) > 1:
            return (
                f"alembic_version holds {' and '.join(state.revisions(phase))} of branch "
                f"{phase.value}, allowed is one row per branch: somebody wrote into it by hand"
            )
    if state.revisions(Phase.CONTRACT) and not state.revisions(Phase.EXPAND):
        return (
            f"branch contract stands at {state.version(Phase.CONTRACT)} and branch expand has no "
            "row in alembic_version: somebody contracted before expand"
        )
    return None


def _out_of_range(state: MigrationState, phase: Phase) -> str | None:
    own = [int(each.version) for each in state.image.of(phase)]
    at = int(state.version(phase))
    if at > own[-1]:
        return (
            f"{REPOSITORIES[phase]} stands at {at}, past the image's head {own[-1]}: the database "
            "belongs to a later release"
        )
    if at < own[0] - 1:
        return (
            f"{REPOSITORIES[phase]} stands at {at}, and the image's first migration is {own[0]}: "
            "the database is too old for this release, upgrade to one between them first"
        )
    return None


def _not_taken_over(state: MigrationState, phase: Phase) -> str | None:
    at = int(state.version(phase))
    if not state.image.legacy:
        return (
            f"migrate_version stands at {state.recorded} and alembic_version has no row: the "
            "database was never at Zed or 2023.1, and from 2023.2 on a release takes none over. "
            "Upgrade to Zed or 2023.1 first"
        )
    needed = state.image.legacy_head(phase)
    if at < needed:
        return (
            f"{REPOSITORIES[phase]} stands at {at}, Yoga's head is {needed}: the database is older "
            "than Yoga, and this image's expand would run what is missing of all phases at once, "
            "contract included. Upgrade to Yoga first"
        )
    if at > needed:
        return (
            f"{REPOSITORIES[phase]} stands at {at}, past Yoga's head {needed}: the database "
            "belongs to a private build"
        )
    return None
