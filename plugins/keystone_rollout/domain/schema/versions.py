"""Read the table in which Keystone records how far its schema has come.

Newton to Yoga keep one number per migration repository in `migrate_version`; Zed and later keep
one revision per branch in `alembic_version`, and leave the older table behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    """The three phases of a rolling upgrade, with the names of `db_sync --PHASE`."""

    EXPAND = "expand"
    MIGRATE = "migrate"
    CONTRACT = "contract"


class VersionTable(StrEnum):
    """The two tables that can hold a schema's version."""

    MIGRATE = "migrate_version"
    ALEMBIC = "alembic_version"


REPOSITORIES = {
    Phase.EXPAND: "keystone_expand",
    Phase.MIGRATE: "keystone_data_migrate",
    Phase.CONTRACT: "keystone_contract",
}
"""The row of table `migrate_version` in which a phase records its progress."""


@dataclass(frozen=True)
class RecordedVersions:
    """The content of the version table, before an upgrade image explains it.

    Exactly one side is filled: ``repositories`` (name → number, the legacy `keystone` included)
    or ``revisions`` (sorted; only an image knows the branch of each).
    """

    repositories: Mapping[str, int] = field(default_factory=dict)
    revisions: tuple[str, ...] = ()

    @property
    def table(self) -> VersionTable:
        """Return the table that counts."""
        return VersionTable.ALEMBIC if self.revisions else VersionTable.MIGRATE

    @property
    def in_order(self) -> bool:
        """Tell whether no phase is ahead of its predecessor, as far as numbers can say."""
        numbers = [self.repositories.get(name, 0) for name in REPOSITORIES.values()]
        return numbers == sorted(numbers, reverse=True)

    def by_phase(self) -> dict[str, str]:
        """Return each phase's number; revisions "together": only an image tells them apart."""
        if self.revisions:
            return {"together": " + ".join(self.revisions)}
        return {phase.value: str(self.repositories[name]) for phase, name in REPOSITORIES.items()}

    def __str__(self) -> str:
        """Return `44/44/24` (expand/migrate/contract) or the revisions, joined by +."""
        return "/".join(self.by_phase().values())


def recorded_versions(
    repositories: Mapping[str, int] | None, revisions: Iterable[str] | None
) -> RecordedVersions:
    """Decide which table counts, as Keystone does: alembic's, as soon as it has a row.

    None stands for a table that does not exist. Raises ValueError if neither has a row, or if
    `migrate_version` counts and lacks one of the three repositories.
    """
    if found := tuple(sorted(revisions or ())):
        return RecordedVersions(revisions=found)
    if repositories is None:
        raise ValueError(
            "the schema has no table migrate_version, and alembic_version "
            f"{'does not exist' if revisions is None else 'is empty'}: this is not a Keystone "
            "schema"
        )
    missing = [name for name in REPOSITORIES.values() if name not in repositories]
    if missing:
        raise ValueError(
            f"table migrate_version has no row for {', '.join(missing)}; it has "
            f"{', '.join(sorted(repositories)) or 'none'}"
        )
    return RecordedVersions({name: int(number) for name, number in repositories.items()})
