"""Where the schema stands against the image's migrations, and which phase may start."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.schema.state import MigrationState, blocked_by, refused
from keystone_rollout.domain.schema.versions import Phase, RecordedVersions, recorded_versions
from tests.stand_ins.image_listings import alembic, image_of, legacy, numbers

BASE = "27e647c0fad4"
YOGA_EXPAND, YOGA_CONTRACT = "29e87d24a316", "e25ffa003242"
CONTRACT_24 = "c88cdce8f248"


def test_versions_are_read_from_the_version_table() -> None:
    rows = {
        "keystone": 109,
        "keystone_expand": 44,
        "keystone_data_migrate": 44,
        "keystone_contract": 24,
    }
    found = recorded_versions(rows, None)
    assert (str(found), found.table, found.repositories["keystone"]) == (
        "44/44/24", "migrate_version", 109,
    )  # fmt: skip
    assert found.by_phase() == {"expand": "44", "migrate": "44", "contract": "24"}


def test_alembic_counts_as_soon_as_it_has_a_row_and_the_older_table_is_left_aside() -> None:
    found = recorded_versions({"keystone": 109}, ["c88cdce8f248", "47147121"])
    assert (str(found), found.table) == ("47147121 + c88cdce8f248", "alembic_version")
    assert found.repositories == {}
    assert found.by_phase() == {"together": "47147121 + c88cdce8f248"}
    assert recorded_versions(numbers(79, 79, 79).repositories, []) == numbers(79, 79, 79)


@pytest.mark.parametrize(
    ("repositories", "revisions", "said"),
    [
        (
            {"keystone": 109, "keystone_expand": 24}, None,
            "table migrate_version has no row for keystone_data_migrate, keystone_contract; "
            "it has keystone, keystone_expand",
        ),
        ({}, None, "table migrate_version has no row for keystone_expand, keystone_data_migrate, "
                   "keystone_contract; it has none"),
        (None, None, "the schema has no table migrate_version, and alembic_version does not "
                     "exist: this is not a Keystone schema"),
        (None, [], "the schema has no table migrate_version, and alembic_version is empty: this "
                   "is not a Keystone schema"),
    ],
)  # fmt: skip
def test_a_version_table_that_says_too_little_is_refused(
    repositories: dict[str, int] | None, revisions: list[str] | None, said: str
) -> None:
    with pytest.raises(ValueError, match="migrate_version") as caught:
        recorded_versions(repositories, revisions)
    assert str(caught.value) == said


def test_numbers_out_of_order_are_seen() -> None:
    assert numbers(44, 44, 24).in_order
    assert not numbers(24, 44, 24).in_order
    assert RecordedVersions(revisions=("47147121",)).in_order


@pytest.mark.parametrize(
    ("phase", "state", "reason"),
    [
        (Phase.EXPAND, legacy(24, 24, 24), None),
        (Phase.MIGRATE, legacy(44, 24, 24), None),
        (Phase.CONTRACT, legacy(44, 44, 24), None),
        (Phase.CONTRACT, legacy(44, 44, 44), None),
        (
            Phase.MIGRATE, legacy(24, 24, 24),
            "keystone_expand stands at 24, head is 44: expand has to be finished before migrate",
        ),
        (
            Phase.CONTRACT, legacy(44, 30, 24),
            "keystone_data_migrate stands at 30, head is 44: migrate has to be finished before "
            "contract",
        ),
        (
            Phase.EXPAND, legacy(66, 66, 66),
            "keystone_expand stands at 66, past the image's head 44: the database belongs to a "
            "later release",
        ),
        (
            Phase.EXPAND, legacy(24, 24, 24, "21.0.1"),
            "keystone_expand stands at 24, and the image's first migration is 73: the database is "
            "too old for this release, upgrade to one between them first",
        ),
        (Phase.EXPAND, alembic("25.0.0", YOGA_EXPAND, YOGA_CONTRACT), None),
        (Phase.CONTRACT, alembic("25.0.0", "47147121", YOGA_CONTRACT), None),
        (Phase.EXPAND, alembic("22.0.2", BASE), None),
        (Phase.CONTRACT, alembic("22.0.2", YOGA_EXPAND), None),
        (
            Phase.CONTRACT, alembic("22.0.2", BASE),
            "branch expand stands at 27e647c0fad4, head is 29e87d24a316: expand has to be "
            "finished before contract",
        ),
        (
            Phase.CONTRACT, alembic("25.0.0", "11c3b243b4cb", YOGA_CONTRACT),
            "branch expand stands at 11c3b243b4cb, head is 47147121: expand has to be finished "
            "before contract",
        ),
        (
            Phase.EXPAND, alembic("25.0.0", "742c857f1dfb", CONTRACT_24),
            "alembic_version holds 742c857f1dfb, which the image does not carry (its heads: "
            "expand 47147121, contract c88cdce8f248): the database belongs to a later release or "
            "to a private build",
        ),
        (
            Phase.EXPAND, alembic("25.0.0", YOGA_EXPAND, "11c3b243b4cb", YOGA_CONTRACT),
            "alembic_version holds 29e87d24a316 and 11c3b243b4cb of branch expand, allowed is one "
            "row per branch: somebody wrote into it by hand",
        ),
        (
            Phase.EXPAND, alembic("25.0.0", YOGA_CONTRACT),
            "branch contract stands at e25ffa003242 and branch expand has no row in "
            "alembic_version: somebody contracted before expand",
        ),
        (
            Phase.EXPAND, alembic("21.0.1", YOGA_EXPAND, YOGA_CONTRACT),
            "alembic_version holds 29e87d24a316 + e25ffa003242, and the image records in "
            "migrate_version: the database belongs to a later release (Zed or newer)",
        ),
    ],
)  # fmt: skip
def test_no_phase_starts_without_its_predecessor_or_on_a_strange_schema(
    phase: Phase, state: MigrationState, reason: str | None
) -> None:
    assert blocked_by(phase, state) == reason


@pytest.mark.parametrize("release", ["22.0.2", "23.0.2"])
def test_yoga_is_taken_over_by_zed_and_2023_1(release: str) -> None:
    state = legacy(79, 79, 79, release)
    assert state.takes_over
    assert refused(state) is None
    assert not state.is_done(Phase.EXPAND)
    assert [each.version for each in state.pending(Phase.EXPAND)] == [YOGA_EXPAND]
    assert [each.version for each in state.pending(Phase.CONTRACT)] == [YOGA_CONTRACT]
    for phase in (Phase.MIGRATE, Phase.CONTRACT):
        assert blocked_by(phase, state) == (
            f"branch expand stands at none, head is 29e87d24a316: expand has to be finished "
            f"before {phase.value}"
        )


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (
            legacy(78, 78, 78, "22.0.2"),
            "keystone_expand stands at 78, Yoga's head is 79: the database is older than Yoga, and "
            "this image's expand would run what is missing of all phases at once, contract "
            "included. Upgrade to Yoga first",
        ),
        (
            legacy(79, 79, 78, "23.0.2"),
            "keystone_contract stands at 78, Yoga's head is 79: the database is older than Yoga, "
            "and this image's expand would run what is missing of all phases at once, contract "
            "included. Upgrade to Yoga first",
        ),
        (
            legacy(80, 79, 79, "22.0.2"),
            "keystone_expand stands at 80, past Yoga's head 79: the database belongs to a private "
            "build",
        ),
        (
            legacy(79, 79, 79, "25.0.0"),
            "migrate_version stands at 79/79/79 and alembic_version has no row: the database was "
            "never at Zed or 2023.1, and from 2023.2 on a release takes none over. Upgrade to Zed "
            "or 2023.1 first",
        ),
    ],
)
def test_what_cannot_be_taken_over_is_refused(state: MigrationState, reason: str) -> None:
    assert refused(state) == reason
    assert blocked_by(Phase.EXPAND, state) == reason


def test_a_phase_is_done_at_its_head_only() -> None:
    state = legacy(44, 43, 24)
    assert state.is_done(Phase.EXPAND)
    assert not state.is_done(Phase.MIGRATE)
    later = alembic("25.0.0", "47147121", YOGA_CONTRACT)
    assert [later.is_done(phase) for phase in Phase] == [True, True, False]
    assert not alembic("25.0.0", "47147121", CONTRACT_24, "ffff").is_done(Phase.EXPAND)


@pytest.mark.parametrize(
    ("state", "expand", "contract"),
    [
        (legacy(42, 42, 24), ["43", "44"], [str(number) for number in range(25, 45)]),
        (legacy(79, 79, 79, "21.0.1"), [], []),
        (alembic("25.0.0", YOGA_EXPAND, YOGA_CONTRACT),
         ["b4f8b3f584e0", "11c3b243b4cb", "47147121"], ["99de3849d860", CONTRACT_24]),
        (alembic("25.0.0", "b4f8b3f584e0", "99de3849d860"),
         ["11c3b243b4cb", "47147121"], [CONTRACT_24]),
        (alembic("29.1.0", "47147121", CONTRACT_24), ["e8725d6fa226", "742c857f1dfb"], []),
        (alembic("30.0.0", "742c857f1dfb", CONTRACT_24), [], []),
        (alembic("22.0.2", BASE), [YOGA_EXPAND], [YOGA_CONTRACT]),
        (alembic("22.0.2", YOGA_EXPAND), [], [YOGA_CONTRACT]),
    ],
)  # fmt: skip
def test_pending_migrations_follow_what_is_recorded(
    state: MigrationState, expand: list[str], contract: list[str]
) -> None:
    assert [each.version for each in state.pending(Phase.EXPAND)] == expand
    assert [each.version for each in state.pending(Phase.CONTRACT)] == contract


def test_a_state_prints_and_travels_as_plain_data() -> None:
    assert str(legacy(44, 44, 24)) == "44/44/24"
    assert legacy(44, 44, 24).by_phase() == {"expand": "44", "migrate": "44", "contract": "24"}
    state = alembic("22.0.2", YOGA_EXPAND)
    assert str(state) == "expand 29e87d24a316, contract none"
    assert state.by_phase() == {"expand": YOGA_EXPAND, "migrate": "", "contract": ""}
    assert str(alembic("25.0.0", "ffff", "47147121")) == "47147121 + ffff"
    assert image_of("13.0.4").heads() == {"expand": "44", "migrate": "44", "contract": "44"}
