"""The migrations of an upgrade image, in the order in which it runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from keystone_rollout.domain.schema.versions import REPOSITORIES, Phase, VersionTable

_PLACEHOLDER = re.compile(r"\d+_placeholder")


@dataclass(frozen=True)
class Migration:
    """One migration: the version it records, and its script's name without .py."""

    phase: Phase
    version: str
    name: str

    @property
    def placeholder(self) -> bool:
        """Tell whether the script changes nothing: it keeps a number free for a backport."""
        return _PLACEHOLDER.fullmatch(self.name) is not None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class ImageMigrations:
    """The migrations that the image's `db_sync` would run, and the table that records them.

    ``table``: the table with the schema's version once this image has migrated it. ``migrations``:
    those that this table records, in order within each phase. ``base``: with alembic the revision
    below both branches; a database that is taken over from `migrate_version` is stamped with it.
    Otherwise empty. ``legacy``: with alembic the migrations of the `migrate_version` repositories
    that the image still carries (Zed and 2023.1 do). Without them it takes no such database over.
    """

    table: VersionTable
    migrations: tuple[Migration, ...]
    base: str = ""
    legacy: tuple[Migration, ...] = ()

    def of(self, phase: Phase) -> tuple[Migration, ...]:
        """Return a phase's migrations in order; empty for `migrate` with alembic."""
        return tuple(each for each in self.migrations if each.phase is phase)

    def head(self, phase: Phase) -> str:
        """Return the version at which a phase ends; empty if the release has no such migrations."""
        own = self.of(phase)
        return own[-1].version if own else ""

    def heads(self) -> dict[str, str]:
        """Return the head of every phase as plain data, for templates and the report."""
        return {phase.value: self.head(phase) for phase in Phase}

    def has(self, phase: Phase) -> bool:
        """Tell whether a phase has migrations in this release: with alembic, `migrate` has none."""
        return bool(self.of(phase))

    def legacy_head(self, phase: Phase) -> int:
        """Return the number at which a database has to stand to be taken over (Yoga's head)."""
        return max(int(each.version) for each in self.legacy if each.phase is phase)

    def __str__(self) -> str:
        """Return the heads: `44/44/44`, or the heads of alembic's branches by name."""
        if self.table is VersionTable.MIGRATE:
            return "/".join(self.heads().values())
        return ", ".join(f"{phase} {head}" for phase, head in self.heads().items() if head)


@dataclass(frozen=True)
class HeadQuestion:
    """A file in include/sql, and the parameters of its query."""

    name: str
    parameters: Mapping[str, str | int]


def head_question(phase: Phase, image: ImageMigrations) -> HeadQuestion | None:
    """Return the question whose answer is 1 at the head; None if the phase has no head."""
    if not image.has(phase):
        return None
    if image.table is VersionTable.MIGRATE:
        return HeadQuestion(
            "count_repository_at_head",
            {"repository": REPOSITORIES[phase], "head": int(image.head(phase))},
        )
    # A revision that is not another branch's (unknown, the base, an older one of this branch) means
    # that the head is not reached.
    others = [each.version for each in image.migrations if each.phase is not phase]
    return HeadQuestion(
        "compare_branch_with_head", {"head": image.head(phase), "others": ",".join(others)}
    )
