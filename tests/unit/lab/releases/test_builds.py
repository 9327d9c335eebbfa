"""Which releases the lab installs, on which Python and Debian suite, and what it refuses."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.releases.catalogue import Series, catalogue
from keystone_rollout.domain.releases.identity import parse_identity
from keystone_rollout.domain.releases.release import check_hop
from lab import paths
from lab.releases.builds import SUITES, Build, choose_builds, common_suite, find_release
from machine.errors import CommandError


def chosen(source: str, target: str) -> tuple[str, str, str]:
    """Return the suite that both releases of a pair are put on, and their Pythons."""
    builds = choose_builds(find_release(source), find_release(target))
    assert builds[0].suite == builds[1].suite
    return builds[0].suite, builds[0].python, builds[1].python


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("pike", "12.0.3"),
        ("Pike", "12.0.3"),
        ("12", "12.0.3"),
        ("12.0.3", "12.0.3"),
        ("12.0.2", "12.0.2"),
        ("2023.1", "23.0.2"),
        ("Epoxy", "27.0.1"),
        ("27.1.0", "27.1.0"),
        ("13.0.90", "13.0.90"),
    ],
)
def test_a_release_is_found_by_codename_number_and_version(name: str, version: str) -> None:
    assert find_release(name).version == version


@pytest.mark.parametrize(
    "name", ["9", "9.0.0", "31.0.0", "2022.1", "12.0", "v12.0.3", "27.0.1.dev7", "13.0.4-1", ""]
)
def test_an_unknown_release_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(CommandError) as caught:
        find_release(name)
    assert str(caught.value).startswith(f"unknown Keystone release {name!r}. Allowed is the name ")
    assert "Queens (13), " in str(caught.value)
    assert str(caught.value).endswith("2026.2 (30); or a version X.Y.Z of one of them")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("pike", "queens", ("bullseye", "2.7", "2.7")),
        ("train", "ussuri", ("bullseye", "2.7", "3.9")),
        ("yoga", "zed", ("bullseye", "3.9", "3.9")),
        ("zed", "2023.1", ("bullseye", "3.9", "3.9")),
        ("2023.1", "2023.2", ("bookworm", "3.11", "3.11")),
        ("2023.1", "2024.1", ("bookworm", "3.11", "3.11")),
        ("2026.1", "2026.2", ("bookworm", "3.11", "3.11")),
    ],
)
def test_a_pair_gets_the_first_suite_that_has_a_python_for_both(
    source: str, target: str, expected: tuple[str, str, str]
) -> None:
    assert chosen(source, target) == expected


def test_every_upgrade_of_the_catalogue_has_a_suite() -> None:
    releases = [parse_identity(series.version) for series in catalogue().releases]
    allowed = [(a, b) for a in releases for b in releases if check_hop(a, b) is None]
    assert len(allowed) == 20 + 3
    for source, target in allowed:
        assert common_suite(source.series, target.series) in SUITES


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("queens", "pike", "13.0.4 (Queens) to 12.0.3 (Pike) is a downgrade"),
        ("pike", "pike", "there is nothing to upgrade"),
        ("pike", "rocky", "take Pike → Queens → Rocky, one hop each"),
        ("21", "23", "take Yoga → Zed → 2023.1, one hop each"),
    ],
)
def test_a_pair_that_is_no_upgrade_is_refused(source: str, target: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        choose_builds(find_release(source), find_release(target))
    assert message in str(caught.value)
    assert str(caught.value).endswith(". Nothing was changed")


def test_two_releases_without_a_common_suite_have_none() -> None:
    def series(*pythons: str) -> Series:
        return Series(
            number=12, codename="Some", version="12.0.0", pythons=[*pythons], api="script",
            version_table="migrate_version", contract_head="24",
        )  # fmt: skip

    assert common_suite(series("2.7"), series("3.11")) is None
    assert common_suite(series("2.7"), series("3.11", "3.9")) == "bullseye"


def test_no_two_builds_share_what_is_made_from_them() -> None:
    release = find_release("2023.1")
    builds = [
        Build(release, "3.11", "bookworm"),
        Build(release, "3.9", "bullseye"),
        Build(release, "3.9", "bullseye", distribution="1a2b"),
    ]
    assert [build.key for build in builds] == [
        "23.0.2-python3.11", "23.0.2-python3.9", "23.0.2-python3.9-private",
    ]  # fmt: skip


def test_a_version_of_ones_own_has_the_dependencies_of_its_release() -> None:
    names = {
        build.pins.name
        for build in (
            Build(find_release("13.0.90"), "2.7", "bullseye"),
            Build(find_release("27.1.0"), "3.11", "bookworm"),
            Build(find_release("23.0.2"), "3.9", "bullseye"),
        )
    }
    assert names == {"13.0.4.txt", "27.0.1.txt", "23.0.2-python3.9.txt"}


def test_early_releases_do_not_start_without_files_of_their_source_archive() -> None:
    needed = {
        number: Build(find_release(str(number)), "2.7", "bullseye").configuration_files
        for number in (11, 12, 14, 15)
    }
    assert needed == {
        11: ("keystone-paste.ini", "policy.json"),
        12: ("keystone-paste.ini",),
        14: ("keystone-paste.ini",),
        15: (),
    }


def test_every_release_has_exact_dependencies_on_each_of_its_pythons() -> None:
    wanted = {
        Build(parse_identity(series.version), python, "").pins
        for series in catalogue().releases
        for python in series.pythons
    }
    assert set(paths.PINS.glob("*.txt")) == wanted
