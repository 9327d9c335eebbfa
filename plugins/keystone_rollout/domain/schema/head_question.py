"""Choose the SQL question that tells whether a phase's head is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.domain.schema.versions import REPOSITORIES, Phase, VersionTable


@dataclass(frozen=True)
class HeadQuestion:
    """Name a file in include/sql, and the parameters it is asked with."""

    name: str
    parameters: Mapping[str, str | int]


def head_question(phase: Phase, image: ImageMigrations) -> HeadQuestion | None:
    """Return the question whose answer is 1 at the head; None where the phase has no head."""
    if not image.has(phase):
        return None
    if image.table is VersionTable.MIGRATE:
        return HeadQuestion(
            "count_repository_at_head",
            {"repository": REPOSITORIES[phase], "head": int(image.head(phase))},
        )
    # An unknown revision, the base or an older one of the same branch is none of the others', so
    # that the head beside it is no head.
    others = [each.version for each in image.migrations if each.phase is not phase]
    return HeadQuestion(
        "compare_branch_with_head", {"head": image.head(phase), "others": ",".join(others)}
    )
