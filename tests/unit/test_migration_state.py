"""Where the schema stands against the image's heads, and which phase may start."""

from __future__ import annotations

import pytest

from rollout.migration_state import (
    Phase,
    SchemaVersions,
    blocked_by,
    heads_from_listing,
    is_done,
    versions_from_rows,
)

HEADS = SchemaVersions(44, 44, 44)
SQL = "/opt/keystone/lib/python2.7/site-packages/keystone/common/sql"


def test_heads_are_the_highest_numbers_of_each_repository() -> None:
    listing = [
        f"{SQL}/expand_repo/versions/024_expand_create_created_at_int_columns.py",
        f"{SQL}/expand_repo/versions/044_expand_queens_placeholder.py\n",
        f"{SQL}/expand_repo/versions/009_expand_old.py",
        f"{SQL}/expand_repo/versions/__init__.py",
        f"{SQL}/data_migration_repo/versions/043_migrate_something.py",
        f"{SQL}/contract_repo/versions/042_contract_something.py",
        f"{SQL}/migrate_repo/versions/109_add_password_self_service_column.py",
    ]
    assert heads_from_listing(listing) == SchemaVersions(44, 43, 42)


def test_a_listing_that_lacks_a_repository_is_refused() -> None:
    with pytest.raises(ValueError, match="no migration scripts") as caught:
        heads_from_listing([f"{SQL}/expand_repo/versions/044_expand_x.py"])
    assert str(caught.value) == (
        "no migration scripts found under keystone/common/sql in data_migration_repo, contract_repo"
    )


def test_versions_are_read_from_the_version_table() -> None:
    rows = {
        "keystone": 109,
        "keystone_expand": 44,
        "keystone_data_migrate": 44,
        "keystone_contract": 24,
    }
    assert versions_from_rows(rows) == SchemaVersions(44, 44, 24)


def test_a_version_table_that_lacks_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="has no row") as caught:
        versions_from_rows({"keystone": 109, "keystone_expand": 24})
    assert str(caught.value) == (
        "table migrate_version has no row for keystone_data_migrate, keystone_contract; "
        "it has keystone, keystone_expand"
    )


def test_an_empty_version_table_is_said_to_have_none() -> None:
    with pytest.raises(ValueError, match="it has none"):
        versions_from_rows({})


@pytest.mark.parametrize(
    ("phase", "state", "reason"),
    [
        (Phase.EXPAND, (24, 24, 24), None),
        (Phase.MIGRATE, (44, 24, 24), None),
        (Phase.CONTRACT, (44, 44, 24), None),
        (Phase.CONTRACT, (44, 44, 44), None),
        (
            Phase.MIGRATE,
            (24, 24, 24),
            "keystone_expand stands at 24, head is 44: expand has to be finished before migrate",
        ),
        (
            Phase.CONTRACT,
            (44, 30, 24),
            "keystone_data_migrate stands at 30, head is 44: "
            "migrate has to be finished before contract",
        ),
        (
            Phase.EXPAND,
            (66, 66, 66),
            "keystone_expand stands at 66, past the image's head 44: "
            "the database belongs to a later release",
        ),
    ],
)
def test_no_phase_starts_without_its_predecessor(
    phase: Phase, state: tuple[int, int, int], reason: str | None
) -> None:
    assert blocked_by(phase, SchemaVersions(*state), HEADS) == reason


def test_a_phase_is_done_at_its_head_only() -> None:
    state = SchemaVersions(44, 43, 24)
    assert is_done(Phase.EXPAND, state, HEADS)
    assert not is_done(Phase.MIGRATE, state, HEADS)


def test_versions_print_and_travel_as_plain_data() -> None:
    state = SchemaVersions(44, 44, 24)
    assert str(state) == "44/44/24"
    assert SchemaVersions(**state.to_dict()) == state
