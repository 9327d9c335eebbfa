"""Give tests the migrations of real releases, as the listing command printed them."""

from __future__ import annotations

from pathlib import Path

from keystone_rollout.domain.schema.listing import image_migrations
from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.domain.schema.state import MigrationState
from keystone_rollout.domain.schema.versions import REPOSITORIES, RecordedVersions

LISTINGS = Path(__file__).parent / "listings"


def listing(release: str) -> list[str]:
    return (LISTINGS / f"{release}.txt").read_text(encoding="utf-8").splitlines()


def image_of(release: str) -> ImageMigrations:
    return image_migrations(listing(release))


def numbers(expand: int, migrate: int, contract: int) -> RecordedVersions:
    named = zip(REPOSITORIES.values(), (expand, migrate, contract), strict=True)
    return RecordedVersions({"keystone": 109, **dict(named)})


def legacy(expand: int, migrate: int, contract: int, release: str = "13.0.4") -> MigrationState:
    return MigrationState(numbers(expand, migrate, contract), image_of(release))


def alembic(release: str, *revisions: str) -> MigrationState:
    return MigrationState(RecordedVersions(revisions=tuple(sorted(revisions))), image_of(release))
