"""The releases the lab knows, and which pairs it refuses."""

import pytest

from lab import paths
from lab.catalogue import RELEASES, check_pair, find_release
from lab.errors import LabError


@pytest.mark.parametrize("name", ["12.0.3", "pike", "Pike"])
def test_a_release_is_found_by_version_and_codename(name: str) -> None:
    assert find_release(name).version == "12.0.3"


def test_an_unknown_release_is_answered_with_the_known_ones() -> None:
    with pytest.raises(LabError, match=r"unknown Keystone release '14'.*13\.0\.4 \(queens\)"):
        find_release("14")


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("queens", "pike", r"target 12\.0\.3 is not newer than source 13\.0\.4"),
        ("pike", "pike", r"target 12\.0\.3 is not newer than source 12\.0\.3"),
        ("20.0.1", "23.0.2", r"20\.0\.1 runs on Debian bullseye, 23\.0\.2 on bookworm"),
    ],
)
def test_a_pair_that_cannot_be_upgraded_in_place_is_refused(
    source: str, target: str, message: str
) -> None:
    with pytest.raises(LabError, match=message):
        check_pair(find_release(source), find_release(target))


def test_every_release_has_exact_dependency_versions() -> None:
    for release in RELEASES:
        pins = (paths.PINS / f"{release.version}.txt").read_text().split()
        assert len(pins) > 50, release
        assert all(pin.count("==") == 1 for pin in pins), release
