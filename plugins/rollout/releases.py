"""Name every Keystone release, and say which hops between two of them exist."""

from __future__ import annotations

import re
from dataclasses import dataclass

CODENAMES = {
    10: "Newton",
    11: "Ocata",
    12: "Pike",
    13: "Queens",
    14: "Rocky",
    15: "Stein",
    16: "Train",
    17: "Ussuri",
    18: "Victoria",
    19: "Wallaby",
    20: "Xena",
    21: "Yoga",
    22: "Zed",
    23: "2023.1",
    24: "2023.2",
    25: "2024.1",
    26: "2024.2",
    27: "2025.1",
    28: "2025.2",
    29: "2026.1",
    30: "2026.2",
}
"""Keystone's major version and the OpenStack release it belongs to."""

FIRST_SLURP = 23
"""From 2023.1 on every second release may be skipped ("skip level upgrade release process")."""

LAST_WITH_TOKEN_FLUSH = 14
"""Rocky: `keystone-manage token_flush` is gone from Stein on (argparse exits 2)."""

READ_COMMITTED_HOPS = frozenset({(10, 11)})
"""Hops whose contract makes requests fail with error 1412 under REPEATABLE READ.

Newton to Ocata drops columns and triggers of tables that every request reads: a transaction whose
snapshot is older than that cannot read them any more.
"""

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
    def codename(self) -> str:
        """Return the OpenStack release's name, such as Queens."""
        return CODENAMES[self.major]

    @property
    def has_token_flush(self) -> bool:
        """Tell whether `keystone-manage token_flush` exists."""
        return self.major <= LAST_WITH_TOKEN_FLUSH

    @property
    def is_slurp(self) -> bool:
        """Tell whether the next release may be skipped on the way from this one."""
        return _is_slurp(self.major)

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
    if release.major not in CODENAMES:
        first, last = min(CODENAMES), max(CODENAMES)
        raise ValueError(
            f"read {text!r}: Keystone {release.major} is an unknown release; allowed are "
            f"{first} ({CODENAMES[first]}) to {last} ({CODENAMES[last]})"
        )
    return release


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
    if step <= 1 or (step == 2 and source.is_slurp):
        return None
    path = " → ".join(CODENAMES[major] for major in hop_path(source.major, target.major))
    return f"{source} to {target} skips releases that cannot be skipped; take {path}, one hop each"


def needs_read_committed(source: Release, target: Release) -> bool:
    """Tell whether the hop's contract fails requests unless transactions are READ COMMITTED."""
    return (source.major, target.major) in READ_COMMITTED_HOPS


def hop_path(source: int, target: int) -> list[int]:
    """Return the shortest allowed way from one major version to another, both included."""
    path = [source]
    while path[-1] < target:
        here = path[-1]
        path.append(here + (2 if _is_slurp(here) and here + 2 <= target else 1))
    return path


def _is_slurp(major: int) -> bool:
    return major >= FIRST_SLURP and major % 2 == FIRST_SLURP % 2
