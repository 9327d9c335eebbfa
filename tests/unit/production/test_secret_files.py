"""Airflow's passwords and keys: made once, for one account alone, and never printed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.fernet import Fernet

from machine.errors import CommandError
from production import paths, secret_files
from production.secret_files import MADE, NAMES, REDIS_PORT, USERS


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let .airflow be a folder of the test."""
    root = tmp_path / ".airflow"
    for name, part in {
        "STATE": "", "SECRETS": "secrets", "LOGIN": "login", "PASSWORDS": "login/passwords.json",
        "CONFIGURATION": "config", "RUNS": "runs", "REHEARSALS": "rehearsals", "LOGS": "logs",
        "FILES": "files",
    }.items():  # fmt: skip
        monkeypatch.setattr(paths, name, root / part)
    return root


def contents(state: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in state.rglob("*") if path.is_file()}


def test_every_file_is_its_owners_alone_whatever_the_umask_is(state: Path) -> None:
    before = os.umask(0o000)
    try:
        secret_files.ensure()
    finally:
        os.umask(before)
    files = [path for path in state.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {*NAMES, "passwords.json"}
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    folders = [state, *(path for path in state.rglob("*") if path.is_dir())]
    assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o700"}


def test_a_second_time_changes_nothing_but_a_mode_that_was_loosened(state: Path) -> None:
    assert secret_files.ensure() == [*MADE, *(f"password of {user}" for user in USERS)]
    before = contents(state)
    (state / "secrets" / "fernet_key").chmod(0o644)
    (state / "login" / "passwords.json").chmod(0o644)
    (state / "secrets").chmod(0o755)
    assert secret_files.ensure() == []
    assert contents(state) == before
    assert (state / "secrets" / "fernet_key").stat().st_mode & 0o077 == 0
    assert (state / "login" / "passwords.json").stat().st_mode & 0o077 == 0
    assert (state / "secrets").stat().st_mode & 0o077 == 0


def test_nothing_is_printed(state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = secret_files.ensure()
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""
    assert not any(secret.strip() in " ".join(names) for secret in contents(state).values())


def test_no_two_of_them_are_the_same(state: Path) -> None:
    secret_files.ensure()
    values = [(state / "secrets" / name).read_text() for name in NAMES]
    values += json.loads((state / "login" / "passwords.json").read_text()).values()
    assert len(set(values)) == len(values)
    assert all(len(value) >= 20 for value in values)
    Fernet((state / "secrets" / "fernet_key").read_text())


def test_addresses_follow_the_passwords_they_hold(state: Path) -> None:
    secret_files.ensure()
    old = (state / "secrets" / "database_url").read_text()
    (state / "secrets" / "postgres_password").unlink()
    (state / "secrets" / "redis_password").unlink()
    assert secret_files.ensure() == ["postgres_password", "redis_password"]
    database = urlsplit((state / "secrets" / "database_url").read_text())
    assert database.geturl() != old
    assert database.scheme == "postgresql+psycopg"
    assert database.password == (state / "secrets" / "postgres_password").read_text()
    assert parse_qs(database.query) == {"host": ["/run/postgresql"]}
    broker = urlsplit((state / "secrets" / "broker_url").read_text())
    assert broker.password == (state / "secrets" / "redis_password").read_text()
    assert (broker.hostname, broker.port) == ("127.0.0.1", REDIS_PORT)


def test_a_new_user_gets_a_password_and_the_others_keep_theirs(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_files.ensure()
    before = secret_files.read_password("admin")
    monkeypatch.setitem(secret_files.USERS, "night", "op")
    assert secret_files.ensure() == ["password of night"]
    assert secret_files.read_password("admin") == before
    assert secret_files.read_password("night") != before


def test_an_empty_file_is_refused_rather_than_replaced(state: Path) -> None:
    secret_files.ensure()
    (state / "secrets" / "fernet_key").write_text("")
    with pytest.raises(
        CommandError, match=r"fernet_key is empty, expected the fernet key; .* copy"
    ):
        secret_files.ensure()
    assert (state / "secrets" / "fernet_key").read_text() == ""


def test_a_damaged_file_of_logins_is_refused_rather_than_replaced(state: Path) -> None:
    secret_files.ensure()
    (state / "login" / "passwords.json").write_text("{")
    with pytest.raises(CommandError, match=r"passwords\.json cannot be read as JSON"):
        secret_files.ensure()
    assert (state / "login" / "passwords.json").read_text() == "{"


def test_redis_listens_where_its_address_says() -> None:
    entrypoint = (paths.IMAGES / "redis" / "entrypoint.sh").read_text().splitlines()
    assert "bind 127.0.0.1" in entrypoint
    assert f"port {REDIS_PORT}" in entrypoint


def test_git_does_not_see_them() -> None:
    assert "/.airflow/" in (paths.ROOT / ".gitignore").read_text().splitlines()
    assert paths.ROOT / ".airflow" == paths.STATE


def test_a_worker_elsewhere_is_given_its_secrets_and_makes_none(state: Path) -> None:
    with pytest.raises(
        CommandError, match=r"broker_url and .*result_backend, .* nothing was started"
    ):
        secret_files.require_worker_secrets()
    assert [path for path in state.rglob("*") if path.is_file()] == []
    for name in ("broker_url", "result_backend"):
        (state / "secrets" / name).write_text("redis://")
        (state / "secrets" / name).chmod(0o644)
    secret_files.require_worker_secrets()
    assert (state / "secrets" / "broker_url").stat().st_mode & 0o077 == 0
