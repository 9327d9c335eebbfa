"""The lab's passwords: made once, completed in a lab of before, and derived for its users."""

import json
from pathlib import Path

import pytest

from lab import paths
from lab.cloud import secrets
from lab.data import seed
from machine.errors import CommandError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "SECRETS", tmp_path / "secrets.json")
    return paths.SECRETS


def test_what_a_lab_of_before_lacks_is_added_and_the_rest_stays(file: Path) -> None:
    made = secrets.ensure()
    known = json.loads(file.read_text())
    del known["seed_users"]
    file.write_text(json.dumps(known))
    completed = secrets.ensure()
    assert completed.keystone_admin == made.keystone_admin
    assert len(completed.seed_users) == 32
    assert completed.seed_users != made.seed_users
    assert secrets.ensure() == completed
    assert file.stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_not_overwritten(file: Path) -> None:
    file.write_text("{")
    with pytest.raises(CommandError, match=r"secrets\.json is damaged: .* run make clean"):
        secrets.ensure()
    assert file.read_text() == "{"


def test_the_key_of_the_users_is_not_printed(file: Path) -> None:
    made = secrets.ensure()
    assert made.seed_users not in repr(made)


def test_a_users_password_is_the_same_every_time_and_another_one_for_every_user() -> None:
    names = [seed.user_name(number) for number in range(seed.USERS)]
    passwords = [seed.user_password("key", name) for name in names]
    assert names[0] == "seed-user-0000"
    assert passwords == [seed.user_password("key", name) for name in names]
    assert len(set(passwords)) == seed.USERS
    assert passwords[0] != seed.user_password("another key", names[0])
