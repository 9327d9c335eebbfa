"""What names a build of Keystone, what never does, and which build answers to which name."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.releases.identity import (
    IDENTITY_PATTERN,
    LONGEST_IDENTITY,
    Identity,
    identity_in_words,
    parse_identity,
    same_build,
)
from tests.stand_ins.release_texts import DANGEROUS, DIGEST


@pytest.mark.parametrize(
    ("text", "identity", "version"),
    [
        ("13.0.4", Identity(13, 0, 4), "13.0.4"),
        ("25.0.90", Identity(25, 0, 90), "25.0.90"),
        ("27.0.1.dev7", Identity(27, 0, 1, ".dev7"), "27.0.1.dev7"),
        ("22.0.3.dev4", Identity(22, 0, 3, ".dev4"), "22.0.3.dev4"),
        ("28.0.0.0rc1", Identity(28, 0, 0, ".0rc1"), "28.0.0.0rc1"),
        ("27.0.1.dev7+g1a2b3c4", Identity(27, 0, 1, ".dev7+g1a2b3c4"), "27.0.1.dev7+g1a2b3c4"),
        ("2:29.0.0-0ubuntu1.2", Identity(29, 0, 0, "", "2", "0ubuntu1.2"), "29.0.0"),
        ("1:27.0.1-1.el9", Identity(27, 0, 1, "", "1", "1.el9"), "27.0.1"),
        ("2:22.0.2-0+deb12u3", Identity(22, 0, 2, "", "2", "0+deb12u3"), "22.0.2"),
        ("2:21.0.1-0ubuntu1~cloud0", Identity(21, 0, 1, "", "2", "0ubuntu1~cloud0"), "21.0.1"),
        ("2:29.0.0~rc1-0ubuntu1", Identity(29, 0, 0, "~rc1", "2", "0ubuntu1"), "29.0.0~rc1"),
        ("13.0.4-1", Identity(13, 0, 4, "", "", "1"), "13.0.4"),
        (f"27.0.1.dev7@{DIGEST}", Identity(27, 0, 1, ".dev7", digest=DIGEST), "27.0.1.dev7"),
        (
            f"2:29.0.0-0ubuntu1@{DIGEST}",
            Identity(29, 0, 0, "", "2", "0ubuntu1", DIGEST),
            "29.0.0",
        ),
    ],
)
def test_a_text_names_a_build(text: str, identity: Identity, version: str) -> None:
    assert parse_identity(text) == identity
    assert (identity.text, identity.version) == (text, version)
    assert identity.series.number == identity.major


@pytest.mark.parametrize(
    "text",
    [
        *DANGEROUS,
        "", "13", "13.0", "13.0.4.", "13.0.4..", "13.0.4-", "13.0.4--1", "13.0.4-1-2", "v13.0.4",
        "queens", "013.0.4", "13.00.4", "13.0.45678", ":13.0.4", "a:13.0.4", "2:", "13.0.4@",
        "13.0.4@latest", "13.0.4@sha256:abc", f"13.0.4@{DIGEST.upper()}", f"13.0.4@{DIGEST}0",
        f"13.0.4@{DIGEST}-1", "keystone@" + DIGEST, "١٣.0.4", "13.0.4." + "1" * 80, "1234:13.0.4",
    ],
)  # fmt: skip
def test_what_names_no_build_is_refused_with_examples_and_a_next_step(text: str) -> None:
    with pytest.raises(ValueError, match="allowed is a Keystone version such as") as caught:
        parse_identity(text)
    assert str(caught.value).startswith(f"read {text!r}; ")
    assert "13.0.4, 27.0.1.dev7 or 2:29.0.0-0ubuntu1.2" in str(caught.value)
    assert "Next: copy it from `keystone-manage --version`" in str(caught.value)


@pytest.mark.parametrize("text", ["9.3.0", "31.0.0", "2:31.0.0-0ubuntu1"])
def test_an_unknown_release_is_refused_with_the_known_ones(text: str) -> None:
    number = text.removeprefix("2:").split(".")[0]
    with pytest.raises(ValueError, match="is an unknown release") as caught:
        parse_identity(text)
    assert str(caught.value) == (
        f"read {text!r}: Keystone {number} is an unknown release; "
        "allowed are 10 (Newton) to 30 (2026.2)"
    )


def test_the_pattern_is_one_that_browsers_know() -> None:
    for only_python in ("(?P", "(?#", "(?i", "\\A", "\\Z", "*+", "++", "(?>"):
        assert only_python not in IDENTITY_PATTERN


def test_the_longest_text_is_as_long_as_is_said() -> None:
    longest = f"999:9999.9999.9999.{'1' * 40}-{'1' * 41}@{DIGEST}"
    with pytest.raises(ValueError, match="unknown release"):
        parse_identity(longest)
    assert len(longest) == LONGEST_IDENTITY


@pytest.mark.parametrize(
    ("expected", "reported", "same"),
    [
        ("13.0.4", "13.0.4", True),
        ("13.0.4", "13.0.3", False),
        ("13.0.4", "13.0.40", False),
        # A build of a branch, as Kolla's images have it, is never taken for the release.
        ("27.0.1.dev7", "27.0.1.dev7", True),
        ("27.0.1", "27.0.1.dev7", False),
        ("27.0.1.dev7", "27.0.1", False),
        ("27.0.1.dev7", "27.0.1.dev8", False),
        ("27.0.1.dev7+g1a2b3c4", "27.0.1.dev7", True),
        ("27.0.1.dev7+g1a2b3c4", "27.0.1.dev7+g9999999", False),
        # A packager's parts count if both have them.
        ("2:29.0.0-0ubuntu1.2", "29.0.0", True),
        ("2:29.0.0-0ubuntu1.2", "29.0.1", False),
        ("2:29.0.0-0ubuntu1.2", "2:29.0.0-0ubuntu1.2", True),
        ("2:29.0.0-0ubuntu1.2", "2:29.0.0-0ubuntu1.1", False),
        ("2:29.0.0-0ubuntu1.2", "1:29.0.0-0ubuntu1.2", False),
        ("29.0.0", "2:29.0.0-0ubuntu1.2", True),
        ("2:29.0.0~rc1-0ubuntu1", "29.0.0.0rc1", True),
        ("2:29.0.0~rc1-0ubuntu1", "29.0.0", False),
        (f"27.0.1@{DIGEST}", "27.0.1", True),
        (f"27.0.1@{DIGEST}", f"27.0.1@sha256:{'f' * 64}", False),
        # Whatever a node says: nothing is guessed.
        ("13.0.4", "unknown", False),
        ("13.0.4", "", False),
        ("13.0.4", "13.0.4 running", False),
    ],
)
def test_what_reports_a_name_is_the_build_or_is_not(
    expected: str, reported: str, same: bool
) -> None:
    assert same_build(expected, reported) is same


def test_series_and_identity_are_compared_apart() -> None:
    first, second = parse_identity("2:22.0.2-0+deb12u2"), parse_identity("2:22.0.2-0+deb12u3")
    assert first.is_same_series(second)
    assert first != second
    assert not first.is_same_series(parse_identity("23.0.2"))


def test_words_name_the_release_and_keep_a_digest_short() -> None:
    assert str(parse_identity("13.0.4")) == "13.0.4 (Queens)"
    assert str(parse_identity(f"27.0.1@{DIGEST}")) == "27.0.1@sha256:0123456789ab (2025.1)"
    assert identity_in_words("2:29.0.0-0ubuntu1.2") == "2:29.0.0-0ubuntu1.2 (2026.1)"
    assert identity_in_words("somebody's own") == "somebody's own"
