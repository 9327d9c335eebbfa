"""The Keystone that the lab installs: a release of the catalogue, on a Python of a Debian suite."""

from dataclasses import dataclass
from pathlib import Path

from keystone_rollout.domain.releases.catalogue import Series, catalogue
from keystone_rollout.domain.releases.identity import Identity, parse_identity
from keystone_rollout.domain.releases.release import check_hop
from lab import paths
from machine.errors import CommandError

SUITES = {"bullseye": ("2.7", "3.9"), "bookworm": ("3.11",)}
"""The Pythons of each Debian suite that the lab has a base image of."""


@dataclass(frozen=True)
class Build:
    """One Keystone release as the lab installs it.

    ``distribution`` is the hash of the operator's own archive; empty for a release from PyPI.
    """

    release: Identity
    python: str
    suite: str
    distribution: str = ""

    @property
    def version(self) -> str:
        """Return the version as packages write it."""
        return self.release.version

    @property
    def major(self) -> int:
        """Return the release's number."""
        return self.release.major

    @property
    def interpreter(self) -> str:
        """Return the name of its Python's package and program."""
        return f"python{self.python}"

    @property
    def key(self) -> str:
        """Return the unique name of its packages, images and data."""
        return f"{self.version}-{self.interpreter}" + ("-private" if self.distribution else "")

    @property
    def pins(self) -> Path:
        """Return the file with the exact versions of everything it depends on."""
        series = self.release.series
        other = "" if self.python == series.pythons[0] else f"-{self.interpreter}"
        return paths.PINS / f"{series.version}{other}.txt"

    @property
    def configuration_files(self) -> tuple[str, ...]:
        """Return which files of the source archive's ``etc`` it does not start without."""
        before = {"keystone-paste.ini": 15, "policy.json": 12}
        return tuple(name for name, number in before.items() if self.major < number)

    def __str__(self) -> str:
        return f"{self.release} on Python {self.python}, Debian {self.suite}"


def find_release(name: str) -> Identity:
    """Return the release called *name*: a codename, a release's number, or a version of one.

    A version that is not the catalogue's own is accepted; whether it exists is found when it is
    fetched. Raises CommandError with the known ones.
    """
    for series in catalogue().releases:
        if name.lower() in (series.codename.lower(), series.release_name, str(series.number)):
            return parse_identity(series.version)
    try:
        return _numbers_only(parse_identity(name))
    except ValueError as error:
        known = ", ".join(f"{series.codename} ({series.number})" for series in catalogue().releases)
        raise CommandError(
            f"unknown Keystone release {name!r}. Allowed is the name or number of one of {known}; "
            "or a version X.Y.Z of one of them"
        ) from error


def _numbers_only(release: Identity) -> Identity:
    """Return the release; ValueError for a package's or an image's name: the lab makes its own."""
    if release != Identity(*release.numbers):
        raise ValueError(f"read {release.text!r}")
    return release


def choose_builds(source: Identity, target: Identity) -> tuple[Build, Build]:
    """Return both releases on the first Debian suite that has a Python for each.

    Raises CommandError for a pair that no upgrade leads through, or that no suite has.
    """
    refusal = check_hop(source, target)
    if refusal:
        raise CommandError(f"{refusal}. Nothing was changed")
    suite = common_suite(source.series, target.series)
    if suite is None:
        raise CommandError(
            f"{source} runs on {pythons(source.series)}, {target} on {pythons(target.series)}: no "
            "Debian suite has both, and a node is not reinstalled during an upgrade. Nothing was "
            f"changed. Next: make exact versions for one of them on the other's suite, in "
            f"{paths.PINS.relative_to(paths.ROOT)}, and add that Python to the catalogue"
        )
    return _build(source, suite), _build(target, suite)


def common_suite(source: Series, target: Series) -> str | None:
    """Return the first suite with a Python for both; None if there is none."""
    for suite in SUITES:
        if python_on(suite, source) and python_on(suite, target):
            return suite
    return None


def python_on(suite: str, series: Series) -> str | None:
    """Return the preferred one of the release's Pythons that a Debian *suite* has."""
    return next((python for python in series.pythons if python in SUITES[suite]), None)


def pythons(series: Series) -> str:
    """Return the release's Pythons, each with its Debian suite, for a message."""
    return ", ".join(
        f"Python {python} (Debian {suite})"
        for python in series.pythons
        for suite, those in SUITES.items()
        if python in those
    )


def _build(release: Identity, suite: str) -> Build:
    python = python_on(suite, release.series)
    assert python is not None
    return Build(release, python, suite)
