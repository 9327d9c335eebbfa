"""Real releases' files become migrations in order; what is not whole is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from keystone_rollout.domain.schema.listing import LISTING_COMMAND, image_migrations
from keystone_rollout.domain.schema.migrations import Migration
from keystone_rollout.domain.schema.versions import Phase, VersionTable
from tests.stand_ins.image_listings import LISTINGS, image_of, listing

BASE = "27e647c0fad4"
RELEASES = {
    "12.0.3": ("migrate_version", "24/24/24", ""),
    "13.0.4": ("migrate_version", "44/44/44", ""),
    "21.0.1": ("migrate_version", "79/79/79", ""),
    "22.0.2": ("alembic_version", "expand 29e87d24a316, contract e25ffa003242", BASE),
    "23.0.2": ("alembic_version", "expand 29e87d24a316, contract e25ffa003242", BASE),
    "25.0.0": ("alembic_version", "expand 47147121, contract c88cdce8f248", BASE),
    "28.0.1": ("alembic_version", "expand 47147121, contract c88cdce8f248", BASE),
    "29.1.0": ("alembic_version", "expand 742c857f1dfb, contract c88cdce8f248", BASE),
    "30.0.0": ("alembic_version", "expand 742c857f1dfb, contract c88cdce8f248", BASE),
}


def test_every_fixture_is_looked_at() -> None:
    assert {path.stem for path in LISTINGS.iterdir()} == set(RELEASES)


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_ends_at_its_heads_in_its_table(release: str) -> None:
    image = image_of(release)
    assert (image.table, str(image), image.base) == RELEASES[release]


def test_migrations_come_in_the_order_in_which_they_run() -> None:
    image = image_of("29.1.0")
    assert [each.name for each in image.of(Phase.EXPAND)] == [
        "29e87d24a316_initial",
        "b4f8b3f584e0_fix_incorrect_constraints",
        "11c3b243b4cb_remove_service_provider_relay_state_server_default",
        "47147121_add_identity_federation_attribute_mapping_schema_version",
        "e8725d6fa226_add_project_id_index_to_project_",
        "742c857f1dfb_add_index_in_revocation_event",
    ]
    assert image.of(Phase.MIGRATE) == ()
    assert image.heads() == {
        "expand": "742c857f1dfb", "migrate": "", "contract": "c88cdce8f248",
    }  # fmt: skip
    queens = image_of("13.0.4").of(Phase.CONTRACT)
    assert [queens[0].version, queens[-1].version, queens[-1].name] == [
        "1", "44", "044_placeholder",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("release", "placeholders", "others"),
    [("12.0.3", 30, 42), ("13.0.4", 66, 66), ("21.0.1", 15, 6), ("29.1.0", 0, 9)],
)
def test_placeholders_are_told_by_their_name(release: str, placeholders: int, others: int) -> None:
    found = [each.placeholder for each in image_of(release).migrations]
    assert (found.count(True), found.count(False)) == (placeholders, others)


@pytest.mark.parametrize(
    ("name", "placeholder"),
    [
        ("045_placeholder", True),
        ("045_expand_placeholder_table", False),
        ("045_placeholder_table", False),
        ("e8725d6fa226_placeholder", False),
    ],
)
def test_only_a_number_and_the_word_make_a_placeholder(name: str, placeholder: bool) -> None:
    assert Migration(Phase.EXPAND, "45", name).placeholder is placeholder


def test_only_zed_and_2023_1_take_a_numbered_database_over() -> None:
    assert image_of("22.0.2").legacy_head(Phase.CONTRACT) == 79
    assert image_of("23.0.2").legacy == image_of("21.0.1").migrations
    assert image_of("25.0.0").legacy == ()
    assert image_of("13.0.4").legacy == ()


def test_a_folder_that_keystone_does_not_look_into_does_not_count() -> None:
    lines = listing("28.0.1")
    assert any("/2025.02/expand/e8725d6fa226" in line for line in lines)
    assert image_of("28.0.1") == image_of("25.0.0")


def test_a_second_alike_keystone_is_no_harm_and_another_one_is() -> None:
    copies = [line.replace("/opt/keystone/lib", "/keystone-source") for line in listing("29.1.0")]
    assert image_migrations([*listing("29.1.0"), *copies]) == image_of("29.1.0")
    with pytest.raises(ValueError, match="do not migrate alike") as caught:
        image_migrations([*listing("25.0.0"), *copies])
    assert (
        "/opt/keystone/lib/python3/site-packages/keystone/common/sql: expand 47147121, contract"
        in str(caught.value)
    )
    assert "/keystone-source/python3/site-packages/keystone/common/sql: expand 742c857f1dfb" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "no migration scripts found under keystone/common/sql"),
        (["find: /root: Permission denied"], "no migration scripts found under"),
        (
            [line for line in listing("13.0.4") if "/expand_repo/" in line],
            "no migration scripts found under keystone/common/sql in data_migration_repo, "
            "contract_repo",
        ),
        (
            [line for line in listing("29.1.0") if "47147121_add" not in line],
            "branch expand is not one chain from 27e647c0fad4: 3 of 5 revisions follow each "
            "other, the last is 11c3b243b4cb",
        ),
        (
            [line for line in listing("29.1.0") if "742c857f1dfb_add" not in line],
            "branch expand ends at e8725d6fa226, and its file EXPAND_HEAD says 742c857f1dfb",
        ),
        (
            [line for line in listing("29.1.0") if "/contract/" not in line],
            "branch contract is not one chain from 27e647c0fad4: 0 of 0 revisions",
        ),
    ],
)
def test_what_is_not_whole_is_refused(lines: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=r"migration|branch") as caught:
        image_migrations(lines)
    assert said in str(caught.value)


def test_the_command_finds_the_files_and_no_others(tmp_path: Path) -> None:
    sql = tmp_path / "site-packages/keystone/common/sql"
    files = {
        "upgrades.py": "ALEMBIC_INIT_VERSION = 'aa'\nRELEASES = (\n    'zed',\n)\n"
        "MILESTONES = (\n    'b',\n)\n",
        "migrations/versions/aa_initial.py": "revision = 'aa'\ndown_revision = None\n",
        "migrations/versions/zed/expand/bb_one.py": "revision = 'bb'\ndown_revision = 'aa'\n",
        "migrations/versions/zed/contract/cc_two.py": 'revision = "cc"\ndown_revision = "aa"\n',
        "migrations/versions/b/expand/dd_not_listed.py": "revision = 'dd'\ndown_revision = 'bb'\n",
        "migrations/versions/zed/expand/bb_one.pyc": "revision = 'bb'\n",
        "migrations/versions/EXPAND_HEAD": "bb\n",
        "migrations/versions/CONTRACT_HEAD": "cc\n",
    }
    for name, content in files.items():
        path = sql / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    command = [str(tmp_path) if word == "/" else word for word in LISTING_COMMAND]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    image = image_migrations(found.stdout.splitlines())
    assert (image.table, str(image)) == (VersionTable.ALEMBIC, "expand bb, contract cc")
    assert ".pyc" not in found.stdout
