"""Which hops between releases exist, and what is said about those that do not."""

from __future__ import annotations

import itertools

import pytest

from keystone_rollout.domain.releases.identity import Identity, parse_identity
from keystone_rollout.domain.releases.release import (
    check_hop,
    hop_path,
    makes_triggers,
    needed_options,
    needs,
    own_cache_reasons,
    read_committed_reasons,
)

PIKE, QUEENS, ROCKY = parse_identity("12.0.3"), parse_identity("13.0.4"), parse_identity("14.2.0")


def test_only_newton_to_ocata_needs_read_committed() -> None:
    newton, ocata = parse_identity("10.0.3"), parse_identity("11.0.4")
    assert "1412" in read_committed_reasons(newton, ocata)[0]
    assert read_committed_reasons(ocata, PIKE) == []
    assert read_committed_reasons(PIKE, QUEENS) == []


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (Identity(10, 0, 3), Identity(11, 0, 4), True),
        (Identity(10, 0, 3), PIKE, True),
        (Identity(11, 0, 4), PIKE, False),
        (PIKE, QUEENS, False),
        (QUEENS, ROCKY, False),
        (Identity(27, 0, 1), Identity(29, 1, 0), False),
        (Identity(9, 3, 0), Identity(10, 0, 3), True),
        (Identity(30, 0, 0), Identity(31, 0, 0), True),
    ],
)
def test_newton_to_ocata_creates_triggers_and_so_may_what_is_unknown(
    source: Identity, target: Identity, expected: bool
) -> None:
    assert makes_triggers(source, target) is expected


def test_some_releases_cannot_share_memcached() -> None:
    newton, ocata = parse_identity("10.0.3"), parse_identity("11.0.4")
    assert "KeyError 'options'" in own_cache_reasons(newton, ocata)[0]
    assert "expires_at" in own_cache_reasons(QUEENS, ROCKY)[0]
    assert own_cache_reasons(PIKE, QUEENS) == []


def test_a_hop_names_the_options_it_depends_on() -> None:
    ocata, stein = parse_identity("11.0.4"), parse_identity("15.0.1")
    assert [str(option) for option in needed_options(ocata, PIKE)] == [
        "[identity] rolling_upgrade_password_hash_compat = true"
    ]
    assert [str(option) for option in needed_options(ROCKY, stein)] == [
        "[fernet_receipts] key_repository"
    ]


def test_a_hop_that_skips_a_release_has_the_needs_of_both_halves() -> None:
    newton, pike = parse_identity("10.0.3"), parse_identity("12.0.3")
    assert [(need.source, need.target) for need in needs(newton, pike)] == [(10, 11), (11, 12)]


def test_token_flush_ends_with_rocky() -> None:
    assert ROCKY.series.token_flush
    assert not parse_identity("15.0.1").series.token_flush


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("12.0.3", "13.0.4"),
        ("12.0.2", "12.0.3"),
        ("22.0.2", "23.0.2"),
        ("23.0.2", "24.1.0"),
        ("23.0.2", "25.0.0"),
        ("24.1.0", "25.0.0"),
        ("27.0.1", "29.1.0"),
    ],
)
def test_next_release_patch_and_slurp_hops_are_allowed(source: str, target: str) -> None:
    assert check_hop(parse_identity(source), parse_identity(target)) is None


def test_a_downgrade_is_refused() -> None:
    assert check_hop(QUEENS, PIKE) == (
        "13.0.4 (Queens) to 12.0.3 (Pike) is a downgrade: the database cannot go back; "
        "allowed is a later release"
    )


def test_an_upgrade_to_the_same_release_is_refused() -> None:
    assert check_hop(PIKE, PIKE) == (
        "source and target are both 12.0.3 (Pike): there is nothing to upgrade"
    )


BUILDS = ["2:22.0.2-0+deb12u2", "2:22.0.2-0+deb12u3", "22.0.2.dev4", "22.0.2@sha256:" + "a" * 64]


@pytest.mark.parametrize(("source", "target"), itertools.permutations(BUILDS, 2))
def test_two_builds_of_one_version_are_refused_both_named(source: str, target: str) -> None:
    refusal = check_hop(parse_identity(source), parse_identity(target))
    assert refusal is not None
    assert refusal.startswith(f"{parse_identity(source)} and {parse_identity(target)} are two ")
    assert "a run between builds is not supported" in refusal


def test_a_build_leads_to_the_next_release_and_not_back() -> None:
    old, new = parse_identity("2:22.0.2-0+deb12u3"), parse_identity("23.0.3.dev4")
    assert check_hop(old, new) is None
    assert "is a downgrade" in (check_hop(new, old) or "")


def test_a_skipped_release_is_refused_with_the_path_to_take() -> None:
    assert check_hop(PIKE, ROCKY) == (
        "12.0.3 (Pike) to 14.2.0 (Rocky) skips releases that cannot be skipped; "
        "take Pike → Queens → Rocky, one hop each"
    )


@pytest.mark.parametrize(
    ("source", "target", "path"),
    [
        ("21.0.1", "23.0.2", "Yoga → Zed → 2023.1"),
        ("24.1.0", "26.0.0", "2023.2 → 2024.1 → 2024.2"),
        ("23.0.2", "28.0.1", "2023.1 → 2024.1 → 2025.1 → 2025.2"),
    ],
)
def test_only_every_second_release_from_2023_1_on_may_be_skipped(
    source: str, target: str, path: str
) -> None:
    refusal = check_hop(parse_identity(source), parse_identity(target))
    assert refusal is not None
    assert refusal.endswith(f"take {path}, one hop each")


def test_the_path_skips_where_it_may() -> None:
    assert hop_path(21, 30) == [21, 22, 23, 25, 27, 29, 30]
    assert hop_path(12, 12) == [12]
