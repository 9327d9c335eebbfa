"""The Keystone releases that the lab can install."""

from dataclasses import dataclass

from lab.errors import LabError


@dataclass(frozen=True)
class Release:
    """One Keystone release and what it runs on."""

    version: str
    codename: str
    python: str
    suite: str

    @property
    def major(self) -> int:
        """Return the first number of the version, which is the OpenStack cycle."""
        return int(self.version.split(".")[0])


RELEASES = (
    Release("10.0.3", "newton", "python2.7", "bullseye"),
    Release("11.0.4", "ocata", "python2.7", "bullseye"),
    Release("12.0.3", "pike", "python2.7", "bullseye"),
    Release("13.0.4", "queens", "python2.7", "bullseye"),
    Release("18.1.0", "victoria", "python3.9", "bullseye"),
    Release("19.0.1", "wallaby", "python3.9", "bullseye"),
    Release("20.0.1", "xena", "python3.9", "bullseye"),
    Release("23.0.2", "2023.1", "python3.11", "bookworm"),
    Release("24.1.0", "2023.2", "python3.11", "bookworm"),
    Release("25.0.0", "2024.1", "python3.11", "bookworm"),
    Release("27.0.1", "2025.1", "python3.11", "bookworm"),
    Release("28.0.1", "2025.2", "python3.11", "bookworm"),
    Release("29.1.0", "2026.1", "python3.11", "bookworm"),
    Release("30.0.0", "2026.2", "python3.11", "bookworm"),
)


def find_release(name: str) -> Release:
    """Return the release called *name*, a version (``12.0.3``) or a codename (``pike``)."""
    for release in RELEASES:
        if name.lower() in (release.version, release.codename):
            return release
    known = ", ".join(f"{r.version} ({r.codename})" for r in RELEASES)
    raise LabError(f"unknown Keystone release {name!r}; the lab knows {known}")


def check_pair(source: Release, target: Release) -> None:
    """Refuse a pair whose target cannot be installed over the source on the same nodes."""
    if target.major <= source.major:
        raise LabError(
            f"target {target.version} is not newer than source {source.version}; "
            "choose TO later than FROM"
        )
    if target.suite != source.suite:
        raise LabError(
            f"{source.version} runs on Debian {source.suite}, {target.version} on "
            f"{target.suite}; a node is not reinstalled during an upgrade, so choose two "
            "releases of one suite"
        )
