"""The database's own programs get their bytes unread, and no password on their command line."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.hooks.database import client as database_client
from keystone_rollout.hooks.database.client import (
    DatabaseClient,
    DatabaseClientFailed,
    _run,
)

RAW = bytes(range(256)) * 3000
PASSWORD = 'a"b\\c'


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatabaseClient:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("AIRFLOW_CONN_A_DATABASE", "mysql://rollout:a%22b%5Cc@db.example.org:3307/")
    return DatabaseClient(MySqlHook(mysql_conn_id="a_database"))


def program(folder: Path, name: str, script: str) -> None:
    noted = f'printf "%s\\n" "$0" "$@" >{folder}/arguments; cp "${{1#*=}}" {folder}/options'
    (folder / name).write_text(f"#!/bin/bash\n{noted}\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_dump_is_what_the_program_prints(client: DatabaseClient, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(RAW)
    program(tmp_path, "mariadb-dump", f"echo warning >&2; cat {tmp_path}/raw")
    with (tmp_path / "dump").open("wb") as stream:
        client.dump(["--quick", "key stone"], stream)
    assert (tmp_path / "dump").read_bytes() == RAW
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments[0] == f"{tmp_path}/mariadb-dump"
    assert arguments[2:] == ["--quick", "key stone"]
    assert PASSWORD not in "".join(arguments)
    assert 'password="a\\"b\\\\c"' in (tmp_path / "options").read_text()
    assert arguments[1].startswith("--defaults-extra-file=/dev/fd/"), "a password is on no disk"


def test_a_load_gets_all_of_the_dump(client: DatabaseClient, tmp_path: Path) -> None:
    program(tmp_path, "mariadb", f"cat >{tmp_path}/loaded")
    client.load("keystone", io.BytesIO(RAW))
    assert (tmp_path / "loaded").read_bytes() == RAW
    assert (tmp_path / "arguments").read_text().splitlines()[2:] == ["--one-database", "keystone"]


def test_a_failed_client_is_quoted(client: DatabaseClient, tmp_path: Path) -> None:
    program(tmp_path, "mariadb", "echo 'ERROR 1062 (23000) \\377' >&2; exit 1")
    with pytest.raises(DatabaseClientFailed) as caught:
        client.load("keystone", io.BytesIO(b"INSERT"))
    assert str(caught.value) == (
        "mariadb ended with exit status 1, allowed is 0: ERROR 1062 (23000) \\377"
    )


def test_a_client_that_hangs_is_ended(
    client: DatabaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_client, "LIMIT_SECONDS", 1.0)
    program(tmp_path, "mariadb-dump", "sleep 30")
    with pytest.raises(DatabaseClientFailed, match="mariadb-dump: it had not ended within 1 s"):
        client.dump(["keystone"], io.BytesIO())


@pytest.mark.skipif(shutil.which("mariadb") is None, reason="needs the real client")
def test_the_real_client_reads_its_options_from_memory(
    client: DatabaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nothing may be written here"))
    with client._options() as options, (tmp_path / "said").open("wb") as stream:
        _run(("mariadb",), options, ["--print-defaults"], stdout=stream)
    said = (tmp_path / "said").read_text()
    assert "--host=db.example.org --port=3307 --user=rollout" in said
    assert "--password=" in said
