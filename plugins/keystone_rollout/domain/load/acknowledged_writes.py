"""Judge what became of the writes that Keystone acknowledged to the load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keystone_rollout.domain.verdict import Verdict

NAMED_AT_MOST = 5


@dataclass(frozen=True)
class AcknowledgedWrites:
    """The result of looking up the users of the ledger.

    ``missing`` were created and are gone, ``unable`` exist but cannot log in with the password
    that was acknowledged last, ``undead`` were deleted and still exist; ``unanswered`` could not
    be checked. ``uncertain`` counts users whose deletion was sent but never answered: either
    outcome is right. ``stale`` are deleted, but a node still reads them from a cache.
    """

    created: int = 0
    deleted: int = 0
    authenticated: int = 0
    uncertain: int = 0
    missing: tuple[str, ...] = ()
    unable: tuple[str, ...] = ()
    undead: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

    @property
    def wrong(self) -> Mapping[str, Sequence[str]]:
        """Return the users whose writes are not proven, by what is wrong with them."""
        wrong = {
            "missing": self.missing,
            "unable to log in": self.unable,
            "deleted but still there": self.undead,
            "without a usable answer within load.profile.timeout": self.unanswered,
        }
        return {what: names for what, names in wrong.items() if names}

    def verdict(self) -> Verdict:
        """Judge whether every acknowledged write is still there; at least one has to be."""
        found = "; ".join(
            f"{len(names)} {what} ({_some(names)})" for what, names in self.wrong.items()
        )
        measured = (
            f"{self.created} users created, {self.deleted} deleted, "
            f"{self.authenticated} looked up and logged in"
        )
        return Verdict(
            ok=not found and self.created > 0,
            check="acknowledged writes",
            object="keystone",
            measured=f"{measured}; {found}" if found else measured,
            limit="all of them there, at least 1 created",
            consequence="a write that Keystone acknowledged was lost: the data is not to be "
            "trusted, do not contract",
            next_step="compare these users with the verified backup and with ledger.jsonl",
        )

    def note(self) -> str | None:
        """Name the deleted users that a cache still has; None without any."""
        if not self.stale:
            return None
        return (
            f"{len(self.stale)} deleted users are gone from the database, and still read from a "
            f"cache ({_some(self.stale)}): nodes of the two releases do not empty each other's"
        )


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
