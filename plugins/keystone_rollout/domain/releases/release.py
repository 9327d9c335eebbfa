"""Name every Keystone release, and say which hops between two of them exist."""

from __future__ import annotations

import re
from dataclasses import dataclass

from keystone_rollout.domain.releases.catalogue import HopNeeds, Option, Series, catalogue

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, order=True)
class Release:
    """Identify one Keystone release by its version, such as 13.0.4 (Queens)."""

    major: int
    minor: int
    patch: int

    @property
    def version(self) -> str:
        """Return the version as packages write it."""
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def series(self) -> Series:
        """Return the catalogue's entry; KeyError for a release that it does not have."""
        series = catalogue().series(self.major)
        if series is None:
            raise KeyError(self.version)
        return series

    @property
    def codename(self) -> str:
        """Return the OpenStack release's name, such as Queens."""
        return self.series.codename

    def __str__(self) -> str:
        return f"{self.version} ({self.codename})"


def parse_release(text: str) -> Release:
    """Read a version such as "13.0.4".

    Raises ValueError, naming what was read and what is allowed, for anything that is not a
    version of a Keystone release known here.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError(f"read {text!r}; allowed is a Keystone version such as 13.0.4")
    release = Release(*(int(part) for part in match.groups()))
    if catalogue().series(release.major) is None:
        first, last = catalogue().releases[0], catalogue().releases[-1]
        raise ValueError(
            f"read {text!r}: Keystone {release.major} is an unknown release; allowed are "
            f"{first.number} ({first.codename}) to {last.number} ({last.codename})"
        )
    return release


def release_in_words(version: str) -> str:
    """Return a version with its codename, or as it is where nobody knows it."""
    try:
        return str(parse_release(version))
    except ValueError:
        return version


def check_hop(source: Release, target: Release) -> str | None:
    """Say why an upgrade from source to target is refused, or return None where it is allowed."""
    if target == source:
        return f"source and target are both {source}: there is nothing to upgrade"
    if target < source:
        return (
            f"{source} to {target} is a downgrade: the database cannot go back; "
            "allowed is a later release"
        )
    step = target.major - source.major
    if step <= 1 or (step == 2 and source.series.slurp):
        return None
    path = " → ".join(codename(number) for number in hop_path(source.major, target.major))
    return f"{source} to {target} skips releases that cannot be skipped; take {path}, one hop each"


def needs(source: Release, target: Release) -> list[HopNeeds]:
    """Return what a hop needs beyond the procedure, skipped releases included."""
    return catalogue().needs(source.major, target.major)


def makes_triggers(source: Release, target: Release) -> bool:
    """Tell whether migrations of a hop create triggers; True if either release is unknown."""
    known = all(catalogue().series(each.major) for each in (source, target))
    return not known or any(need.makes_triggers for need in needs(source, target))


def read_committed_reasons(source: Release, target: Release) -> list[str]:
    """Return why transactions have to be READ COMMITTED in a hop; none for most."""
    return [need.read_committed for need in needs(source, target) if need.read_committed]


def own_cache_reasons(source: Release, target: Release) -> list[str]:
    """Return why nodes of the two releases cannot share memcached; none for most."""
    return [need.own_cache for need in needs(source, target) if need.own_cache]


def needed_options(source: Release, target: Release) -> list[Option]:
    """Return the options that the target's keystone.conf has to hold during a hop."""
    return [option for need in needs(source, target) for option in need.configuration]


def failing_writes(source: Release, target: Release) -> list[str]:
    """Return which requests fail by design while a hop is under way."""
    return [window for need in needs(source, target) for window in need.failing_writes]


def remarks(source: Release, target: Release) -> list[str]:
    """Return what else an operator has to know of a hop, a sentence each."""
    return [remark for need in needs(source, target) for remark in need.remarks]


def hop_path(source: int, target: int) -> list[int]:
    """Return the shortest allowed way from one release's number to another, both included."""
    path = [source]
    while path[-1] < target:
        here = path[-1]
        series = catalogue().series(here)
        skips = series is not None and series.slurp and here + 2 <= target
        path.append(here + (2 if skips else 1))
    return path


def codename(number: int) -> str:
    """Return the name of a release by its number; the number itself where it is unknown."""
    series = catalogue().series(number)
    return series.codename if series else str(number)
