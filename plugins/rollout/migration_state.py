"""Model where the database schema stands against what a release wants.

The exit code of `keystone-manage db_sync` is not believed: before and after each phase the
version table is compared with the heads that the upgrade image itself carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Name the three phases of a rolling upgrade, as `db_sync --PHASE` does."""

    EXPAND = "expand"
    MIGRATE = "migrate"
    CONTRACT = "contract"


REPOSITORIES = {
    Phase.EXPAND: "keystone_expand",
    Phase.MIGRATE: "keystone_data_migrate",
    Phase.CONTRACT: "keystone_contract",
}
"""The row of table `migrate_version` in which a phase records its progress."""

_FOLDERS = {
    "expand_repo": Phase.EXPAND,
    "data_migration_repo": Phase.MIGRATE,
    "contract_repo": Phase.CONTRACT,
}
_SCRIPT = re.compile(r"/keystone/common/sql/(\w+_repo)/versions/(\d+)_\w+\.py$")


@dataclass(frozen=True)
class SchemaVersions:
    """Hold one version number for each phase: heads of a release, or state of a database."""

    expand: int
    migrate: int
    contract: int

    def of(self, phase: Phase) -> int:
        """Return the version of one phase."""
        return int(getattr(self, phase.value))

    def to_dict(self) -> dict[str, int]:
        """Return the versions as plain data, for XCom and the run record."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.expand}/{self.migrate}/{self.contract}"


def heads_from_listing(paths: Iterable[str]) -> SchemaVersions:
    """Read a release's heads from the paths of its migration scripts.

    Raises ValueError where a repository has no script: the listing is not a Keystone's then.
    """
    heads: dict[Phase, int] = {}
    for path in paths:
        match = _SCRIPT.search(path.strip())
        if match and match[1] in _FOLDERS:
            phase = _FOLDERS[match[1]]
            heads[phase] = max(heads.get(phase, 0), int(match[2]))
    missing = [folder for folder, phase in _FOLDERS.items() if phase not in heads]
    if missing:
        raise ValueError(
            "no migration scripts found under keystone/common/sql in " + ", ".join(missing)
        )
    return SchemaVersions(**{phase.value: heads[phase] for phase in Phase})


def versions_from_rows(rows: Mapping[str, int]) -> SchemaVersions:
    """Read a database's state from table `migrate_version` (repository_id → version).

    Raises ValueError where one of the three repositories has no row.
    """
    missing = [name for name in REPOSITORIES.values() if name not in rows]
    if missing:
        raise ValueError(
            f"table migrate_version has no row for {', '.join(missing)}; it has "
            f"{', '.join(sorted(rows)) or 'none'}"
        )
    return SchemaVersions(**{phase.value: int(rows[REPOSITORIES[phase]]) for phase in Phase})


def is_done(phase: Phase, state: SchemaVersions, heads: SchemaVersions) -> bool:
    """Tell whether the database already stands at the head of a phase."""
    return state.of(phase) == heads.of(phase)


def blocked_by(phase: Phase, state: SchemaVersions, heads: SchemaVersions) -> str | None:
    """Say why a phase may not start, or return None where it may.

    Keystone before Pike has no guard of its own against phases out of order.
    """
    for each in Phase:
        if state.of(each) > heads.of(each):
            return (
                f"{REPOSITORIES[each]} stands at {state.of(each)}, past the image's head "
                f"{heads.of(each)}: the database belongs to a later release"
            )
    order = list(Phase)
    for earlier in order[: order.index(phase)]:
        if not is_done(earlier, state, heads):
            return (
                f"{REPOSITORIES[earlier]} stands at {state.of(earlier)}, head is "
                f"{heads.of(earlier)}: {earlier.value} has to be finished before {phase.value}"
            )
    return None
