"""Judge a dump of production before it is upgraded in staging."""

from __future__ import annotations

from collections.abc import Sequence

from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.domain.verdict import Verdict


def judge_dump(path: str, problems: Sequence[str], size: int) -> Verdict:
    """Return whether a dump is whole and stays within its schema; ``size`` in bytes."""
    return Verdict(
        ok=not problems,
        check="dump of production",
        object=path,
        measured="; ".join(problems[:3]) or f"complete, {size} bytes",
        limit="one schema, complete, readable",
        consequence="it was not loaded; staging holds the data that reset left",
        next_step="make it with mariadb-dump --single-transaction --routines --triggers of the one "
        "schema, or correct rehearsal.dump or param dump",
    )


def judge_dump_release(
    name: str, dump: RecordedVersions, staging: RecordedVersions, source: str
) -> Verdict:
    """Return whether a dump stands where the source release does.

    ``staging`` is what the version table says right after the reset, with every node at the source
    release. Releases that share one schema cannot be told apart by it, and need not be.
    """
    return Verdict(
        ok=dump == staging,
        check="release of the dump",
        object=name,
        measured=f"its version table says {dump}",
        limit=f"{staging}, as {source} has it here",
        consequence="nodes of another release would serve it, so it was not put in place",
        next_step=f"take a dump of a cloud that runs {source}, or rehearse from its release with "
        "params source and target",
    )
