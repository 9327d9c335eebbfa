"""The texts of pending scripts come out of an image by one command, whose output is parsed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from keystone_rollout.domain.schema.migrations import Migration
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.domain.scripts.script_listing import script_texts, scripts_command

EXPAND = Migration(Phase.EXPAND, "101", "101_badge")
CONTRACT = Migration(Phase.CONTRACT, "101", "101_badge")
ALEMBIC = Migration(Phase.EXPAND, "ab12", "ab12_badge")


def put(root: Path, path: str, text: str) -> None:
    file = root / "keystone" / "common" / "sql" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def listed(root: Path, *migrations: Migration) -> list[str]:
    command = [str(root) if word == "/" else word for word in scripts_command(migrations)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")


def test_scripts_are_read_whole_and_told_apart_by_their_folder(tmp_path: Path) -> None:
    put(tmp_path, "expand_repo/versions/101_badge.py", "def up():\n\n    pass  # a:b\n")
    put(tmp_path, "legacy_migrations/contract_repo/versions/101_badge.py", "contract\n")
    put(tmp_path, "data_migration_repo/versions/101_badge.py", "other\n")
    put(tmp_path, "migrations/versions/2026.1/expand/ab12_badge.py", "alembic\n")
    put(tmp_path, "migrations/versions/2026.1/expand/ff00_other.py", "not asked for\n")
    wanted = (EXPAND, CONTRACT, ALEMBIC)
    assert script_texts(listed(tmp_path, *wanted), wanted) == {
        EXPAND: "def up():\n\n    pass  # a:b\n",
        CONTRACT: "contract\n",
        ALEMBIC: "alembic\n",
    }


def test_of_two_keystones_the_scripts_are_not_mixed(tmp_path: Path) -> None:
    for place in ("source", "installed"):
        put(tmp_path / place, "expand_repo/versions/101_badge.py", "same\nlines\n")
    assert script_texts(listed(tmp_path, EXPAND), [EXPAND]) == {EXPAND: "same\nlines\n"}


def test_what_is_not_there_is_left_out() -> None:
    lines = ["grep: broken", "", "/x/keystone/common/sql/core.py:import x"]
    assert script_texts(lines, [EXPAND]) == {}
