"""Every hop between two releases of the catalogue, in the order that wastes least."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keystone_rollout.domain.releases.catalogue import Series, catalogue
from machine.errors import CommandError


@dataclass(frozen=True)
class ReleasePair:
    """One hop of the catalogue: from a release to a later one."""

    source: Series
    target: Series

    @property
    def key(self) -> str:
        """Return how HOPS= names the hop, such as 12-13."""
        return f"{self.source.number}-{self.target.number}"

    @property
    def title(self) -> str:
        """Return the hop in words, such as Pike → Queens."""
        return f"{self.source.codename} → {self.target.codename}"


def all_hops() -> list[ReleasePair]:
    """Return every hop to the next release, and every one that skips a release it may skip.

    By source, then by target: the packages of a hop's target are those of the next source, and
    two hops from one source share its image and its data.
    """
    found = []
    for source in catalogue().releases:
        for step in (1, 2) if source.slurp else (1,):
            target = catalogue().series(source.number + step)
            if target is not None:
                found.append(ReleasePair(source, target))
    return found


def long_way(first: int, last: int) -> list[ReleasePair]:
    """Return the hops from one release's number to another through every release between."""
    return [
        hop
        for hop in all_hops()
        if hop.target.number == hop.source.number + 1
        and first <= hop.source.number
        and hop.target.number <= last
    ]


def pick_hops(wanted: str, hops: Iterable[ReleasePair]) -> list[ReleasePair]:
    """Return the hops that *wanted* names (``12-13,13-14``), in their own order; empty: all.

    Raises CommandError, which names texts that are not hops.
    """
    known = {hop.key: hop for hop in hops}
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise CommandError(
            f"HOPS names {', '.join(wrong)}, which is no hop; allowed are {', '.join(known)}"
        )
    return [hop for key, hop in known.items() if not names or key in names]
