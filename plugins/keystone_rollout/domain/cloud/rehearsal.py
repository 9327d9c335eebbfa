"""Describe the scheduled rehearsals of a staging cloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated

from croniter import CroniterError, croniter
from pydantic import AfterValidator, Field

from keystone_rollout.domain.section import Section
from keystone_rollout.domain.verdict import Verdict

CRON_FIELDS = 5
_ANY_TIME = datetime(2026, 1, 1)

NOT_STAGING = (
    "a rehearsal resets its cloud, and this one is not marked as staging; it never is reset then. "
    "Allowed: `staging: true` in the same file, or no section rehearsal"
)


def check_schedule(text: str) -> str:
    """Return a cron expression that matches some time; ValueError says why one does not."""
    try:
        cron = croniter(text, _ANY_TIME)
        cron.get_next(datetime)
    except CroniterError as error:
        problem = str(error)
    else:
        if len(cron.expanded) == CRON_FIELDS:
            return text
        problem = f"it has {len(cron.expanded)} fields"
    raise ValueError(
        f"read {text!r}: not a cron expression that Airflow can follow ({problem}); allowed are "
        'five fields, minute hour day month weekday, in UTC: "0 2 * * *" is every night at two'
    )


class Rehearsal(Section):
    """When a staging cloud is reset and upgraded, and how it is reset."""

    schedule: Annotated[str, AfterValidator(check_schedule)] = Field(
        description="cron expression, in UTC"
    )
    reset: list[str] = Field(
        min_length=1,
        description="program and arguments that reset the cloud to the source release, run "
        "without a shell in the project's folder",
    )
    reset_seconds: int = Field(
        1800, ge=10, description="after which reset, or after_dump, is ended"
    )
    dump: str | None = Field(
        None, description="dump of production, .sql or .sql.gz, that is upgraded instead"
    )
    dump_directory: str | None = Field(
        None,
        description="folder from which a run may name another dump with param dump; without it "
        "none may",
    )
    after_dump: list[str] = Field(
        [],
        description="program and arguments that give the loaded dump the administrator of this "
        "cloud, run like reset",
    )
    history: int = Field(100, ge=1, le=1000, description="rehearsals that the history keeps")


def staging_findings(data: Mapping[str, object]) -> Iterator[str]:
    """Return why a cloud may not rehearse, from plain data; empty without a section rehearsal."""
    if data.get("rehearsal") is not None and data.get("staging") is not True:
        yield NOT_STAGING


def judge_staging(cloud: str, staging: bool, declared: bool) -> Verdict:
    """Judge whether a cloud may be reset: it is marked as staging, and has a section rehearsal.

    A cloud without the mark counts as production.
    """
    words = "staging" if staging else "not marked as staging"
    return Verdict(
        ok=staging and declared,
        check="staging",
        object=cloud,
        measured=words if declared else f"{words}, and it has no section rehearsal",
        limit="`staging: true` and a section `rehearsal` in its file",
        consequence="a rehearsal resets its cloud, so nothing was touched",
        next_step="name a staging cloud with param cloud; only if this is one, mark it in "
        f"include/clouds/{cloud}.yaml",
    )


def judge_reset(node: str, report: str, serves_source: bool, source: str) -> Verdict:
    """Judge whether a node runs the source release; ``report`` says in words what it runs.

    An upgrade of nodes that were not reset finds nothing to do, ends green, and proves nothing.
    """
    return Verdict(
        ok=serves_source,
        check="reset",
        object=node,
        measured=report,
        limit=f"{source} running",
        consequence="an upgrade from here would prove nothing, so none is started",
        next_step="read what the reset command printed; correct it, or param source",
    )
