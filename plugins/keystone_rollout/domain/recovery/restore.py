"""Judge a restore, and merge its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from keystone_rollout.domain.run.events import RestoreChanged
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.domain.units import count, duration
from keystone_rollout.domain.verdict import Verdict


@dataclass(frozen=True)
class OpenRestore:
    """A restore that has not finished; times are epoch seconds."""

    replaced: str
    backup: str
    began: float
    swapped: float | None
    lost: Difference | None
    served: float | None
    ended: float | None


@dataclass(frozen=True)
class Downtime:
    """The downtime of a restore, in seconds."""

    until_first: float
    until_all: float


def restore_section(events: Iterable[RestoreChanged]) -> RestoreChanged | None:
    """Return the merged events; later ones replace earlier ones; None without any."""
    section: RestoreChanged | None = None
    for event in events:
        known = {name: each for name, each in vars(event).items() if each is not None}
        section = replace(section, **known) if section else event
    return section


def downtime_in_words(section: RestoreChanged) -> str:
    """Return for how long nobody served, as far as that was measured."""
    if section.began is None:
        return "no server was taken out"
    if section.served is None:
        return "no server serves again yet"
    first = f"{duration(section.served - section.began)} until the first server served"
    if section.ended is None:
        return f"{first}; not all of them serve yet"
    return f"{first}, {duration(section.ended - section.began)} until all did"


NOT_MOVED = "no table was moved; settle_servers starts everything again as it was"


def judge_writers(schema: str, sessions: Sequence[str]) -> Verdict:
    """Check that no session is left that could write after the last count."""
    return Verdict(
        not sessions,
        "writers",
        schema,
        "; ".join(sessions[:5]) + (f"; {len(sessions) - 5} more" if len(sessions) > 5 else "")
        or "0 sessions",
        "0 sessions in the schema, the reader's apart",
        NOT_MOVED,
        "find out who that is and stop it, then start keystone_restore again",
    )


def judge_loss(backup: str, lost: Difference, bound: int) -> Verdict:
    """Check that the loss, counted without a writer, is within the agreed bound."""
    return Verdict(
        lost.total <= bound,
        "lost writes",
        backup,
        lost.sentence(),
        f"at most {count(bound)}, as param confirm says",
        NOT_MOVED,
        "start keystone_restore again, with a confirmation of the new number",
    )


def judge_versions(measured: RecordedVersions, backup: RecordedVersions, schema: str) -> Verdict:
    """Check that the versions of the live schema are those of the backup."""
    return Verdict(
        measured == backup,
        "schema versions",
        schema,
        str(measured),
        f"{backup}, as in the backup",
        "the old release does not find the tables it knows",
        "find out who migrated the schema since, then start keystone_restore again",
    )


def judge_caches(stale: Mapping[str, str]) -> Verdict:
    """Check that every cache filled from the replaced database was flushed."""
    return Verdict(
        not stale,
        "caches",
        "memcached",
        "; ".join(stale.values()) or "emptied, as far as node_steps.variables.memcached names any",
        "emptied before the first node was started",
        "until they expire, rows may be served that the database does not have",
        "restart memcached, or wait for [cache] expiration_time; everything else is done",
    )
