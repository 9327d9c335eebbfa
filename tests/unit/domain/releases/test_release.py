"""Which hops between releases exist, and what is said about those that do not."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.releases.release import (
    Release,
    check_hop,
    hop_path,
    makes_triggers,
    needed_options,
    needs,
    own_cache_reasons,
    parse_release,
    read_committed_reasons,
)

PIKE, QUEENS, ROCKY = parse_release("12.0.3"), parse_release("13.0.4"), parse_release("14.2.0")


def test_a_release_knows_its_version_and_name() -> None:
    assert Release(13, 0, 4) == QUEENS
    assert (QUEENS.version, QUEENS.codename, str(QUEENS)) == ("13.0.4", "Queens", "13.0.4 (Queens)")


@pytest.mark.parametrize("text", ["13", "13.0", "v13.0.4", "13.0.4-1", "queens", "13.0.4\n", ""])
def test_what_is_no_version_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="allowed is a Keystone version such as") as caught:
        parse_release(text)
    assert str(caught.value).startswith(f"read {text!r}; ")


@pytest.mark.parametrize("text", ["9.3.0", "31.0.0"])
def test_an_unknown_release_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(ValueError, match="is an unknown release") as caught:
        parse_release(text)
    assert str(caught.value) == (
        f"read {text!r}: Keystone {text.split('.')[0]} is an unknown release; "
        "allowed are 10 (Newton) to 30 (2026.2)"
    )


def test_only_newton_to_ocata_needs_read_committed() -> None:
    newton, ocata = parse_release("10.0.3"), parse_release("11.0.4")
    assert "1412" in read_committed_reasons(newton, ocata)[0]
    assert read_committed_reasons(ocata, PIKE) == []
    assert read_committed_reasons(PIKE, QUEENS) == []


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (Release(10, 0, 3), Release(11, 0, 4), True),
        (Release(10, 0, 3), PIKE, True),
        (Release(11, 0, 4), PIKE, False),
        (PIKE, QUEENS, False),
        (QUEENS, ROCKY, False),
        (Release(27, 0, 1), Release(29, 1, 0), False),
        (Release(9, 3, 0), Release(10, 0, 3), True),
        (Release(30, 0, 0), Release(31, 0, 0), True),
    ],
)
def test_newton_to_ocata_creates_triggers_and_so_may_what_is_unknown(
    source: Release, target: Release, expected: bool
) -> None:
    assert makes_triggers(source, target) is expected


def test_some_releases_cannot_share_memcached() -> None:
    newton, ocata = parse_release("10.0.3"), parse_release("11.0.4")
    assert "KeyError 'options'" in own_cache_reasons(newton, ocata)[0]
    assert "expires_at" in own_cache_reasons(QUEENS, ROCKY)[0]
    assert own_cache_reasons(PIKE, QUEENS) == []


def test_a_hop_names_the_options_it_depends_on() -> None:
    ocata, stein = parse_release("11.0.4"), parse_release("15.0.1")
    assert [str(option) for option in needed_options(ocata, PIKE)] == [
        "[identity] rolling_upgrade_password_hash_compat = true"
    ]
    assert [str(option) for option in needed_options(ROCKY, stein)] == [
        "[fernet_receipts] key_repository"
    ]


def test_a_hop_that_skips_a_release_has_the_needs_of_both_halves() -> None:
    newton, pike = parse_release("10.0.3"), parse_release("12.0.3")
    assert [(need.source, need.target) for need in needs(newton, pike)] == [(10, 11), (11, 12)]


def test_token_flush_ends_with_rocky() -> None:
    assert ROCKY.series.token_flush
    assert not parse_release("15.0.1").series.token_flush


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
    assert check_hop(parse_release(source), parse_release(target)) is None


def test_a_downgrade_is_refused() -> None:
    assert check_hop(QUEENS, PIKE) == (
        "13.0.4 (Queens) to 12.0.3 (Pike) is a downgrade: the database cannot go back; "
        "allowed is a later release"
    )


def test_an_upgrade_to_the_same_release_is_refused() -> None:
    assert check_hop(PIKE, PIKE) == (
        "source and target are both 12.0.3 (Pike): there is nothing to upgrade"
    )


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
    refusal = check_hop(parse_release(source), parse_release(target))
    assert refusal is not None
    assert refusal.endswith(f"take {path}, one hop each")


def test_the_path_skips_where_it_may() -> None:
    assert hop_path(21, 30) == [21, 22, 23, 25, 27, 29, 30]
    assert hop_path(12, 12) == [12]
