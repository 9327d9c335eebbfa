"""Read the identity of a Keystone: its series, its version, and its build.

The text is rendered into shell commands on nodes. So this one pattern is all that is allowed in a
cloud file, in a trigger form and in a node's report.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from keystone_rollout.domain.releases.catalogue import Series, catalogue

_NUMBER = "(0|[1-9][0-9]{0,3})"
IDENTITY_PATTERN = (
    r"(?:([0-9]{1,3}):)?"  # a package's epoch
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    r"([.+~a-z][0-9A-Za-z.+~]{0,39}[0-9A-Za-z])?"  # .dev7, rc1, +g1234abc
    r"(?:-([0-9A-Za-z](?:[0-9A-Za-z.+~]{0,39}[0-9A-Za-z])?))?"  # a package's revision
    r"(?:@(sha256:[0-9a-f]{64}))?"  # an image's digest
)
"""The pattern of an identity, for Python and for browsers alike."""

LONGEST_IDENTITY = 173
"""Length of the longest text that the pattern allows."""

_IDENTITY = re.compile(IDENTITY_PATTERN)
_PRE_RELEASE = re.compile(r"^(?:~|\.0)(?=(?:a|b|rc)[0-9])")
_SHOWN_OF_DIGEST = len("sha256:") + 12


@dataclass(frozen=True)
class Identity:
    """One build of Keystone, such as 13.0.4, 27.0.1.dev7 or 2:29.0.0-0ubuntu1.2.

    ``build`` is the version's part after its three numbers. A part that the text lacks is empty.
    """

    major: int
    minor: int
    patch: int
    build: str = ""
    epoch: str = ""
    revision: str = ""
    digest: str = ""

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Return the version's three numbers, in which versions are ordered."""
        return self.major, self.minor, self.patch

    @property
    def version(self) -> str:
        """Return the version without a packager's parts, as keystone-manage reports it."""
        return ".".join(map(str, self.numbers)) + self.build

    @property
    def text(self) -> str:
        """Return the identity as it was written."""
        return self._package + (f"@{self.digest}" if self.digest else "")

    @property
    def series(self) -> Series:
        """Return the catalogue's entry; KeyError for an unknown release."""
        series = catalogue().series(self.major)
        if series is None:
            raise KeyError(self.text)
        return series

    @property
    def codename(self) -> str:
        """Return the OpenStack release's name, such as Queens."""
        return self.series.codename

    def is_same_series(self, other: Identity) -> bool:
        """Tell whether both have one schema: no phase has anything to do between them."""
        return self.major == other.major

    def is_build(self, reported: Identity) -> bool:
        """Tell whether a program that calls itself ``reported`` is this build.

        The versions have to be the same, `.devN` included. A packager's parts are compared if both
        have them: keystone-manage does not know them, and a cloud file need not name them.
        """
        mine, theirs = self._packaged(), reported._packaged()
        return self._upstream == reported._upstream and all(
            one == other for one, other in zip(mine, theirs, strict=True) if one and other
        )

    @property
    def _package(self) -> str:
        begin = f"{self.epoch}:" if self.epoch else ""
        return begin + self.version + (f"-{self.revision}" if self.revision else "")

    @property
    def _upstream(self) -> tuple[tuple[int, int, int], str]:
        """Return the version as it is compared: Debian writes ~rc1 for Python's .0rc1."""
        return self.numbers, _PRE_RELEASE.sub("", self.build.partition("+")[0])

    def _packaged(self) -> tuple[str, str, str, str]:
        return self.epoch, self.build.partition("+")[2], self.revision, self.digest

    def __str__(self) -> str:
        digest = f"@{self.digest[:_SHOWN_OF_DIGEST]}" if self.digest else ""
        return f"{self._package}{digest} ({self.codename})"


def parse_identity(text: str) -> Identity:
    """Read an identity of a release that is known here.

    Raises ValueError for anything else: it says what was read, what is allowed and what to do.
    """
    identity = _read(text)
    if identity is None:
        raise ValueError(
            f"read {text!r}; allowed is a Keystone version such as 13.0.4, 27.0.1.dev7 or "
            "2:29.0.0-0ubuntu1.2, which an image's digest may follow (@sha256: and 64 of 0-9a-f). "
            "Next: copy it from `keystone-manage --version`, or from the package manager"
        )
    if catalogue().series(identity.major) is None:
        first, last = catalogue().releases[0], catalogue().releases[-1]
        raise ValueError(
            f"read {text!r}: Keystone {identity.major} is an unknown release; allowed are "
            f"{first.number} ({first.codename}) to {last.number} ({last.codename})"
        )
    return identity


def _read(text: str) -> Identity | None:
    found = _IDENTITY.fullmatch(text)
    if found is None:
        return None
    epoch, major, minor, patch, *rest = (part or "" for part in found.groups())
    build, revision, digest = rest
    return Identity(int(major), int(minor), int(patch), build, epoch, revision, digest)


def same_build(expected: str, reported: str) -> bool:
    """Tell whether the report of a node or an image is that of the expected build."""
    wanted, found = _read(expected), _read(reported)
    if wanted is None or found is None:
        return expected == reported
    return wanted.is_build(found)


def identity_in_words(text: str) -> str:
    """Return a version with its codename, or as it is if it is unknown."""
    try:
        return str(parse_identity(text))
    except ValueError:
        return text
