"""The database's own programs get their bytes unread, and no password on their command line.

A dump reaches the database and nothing else: no program, no file, and no log.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from keystone_rollout.domain.cloud.model import Limits
from keystone_rollout.hooks.database.client import (
    DatabaseClient,
    DatabaseClientFailed,
    _run,
    client_missing,
    without_content,
)
from keystone_rollout.hooks.database.connection import DatabaseHook
from tests.process_end import wait_gone
from tests.stand_ins.agreeing_database import AgreeingDatabase, agreeing_database
from tests.stand_ins.silent_server import full_server, swallowing_server

RAW = bytes(range(256)) * 3000
PASSWORD = 'a"b\\c'
SECRET = "J1xQ0mS8n2vQyWl3rT5zB7dF9gH4kP6sX8cV0bN2mA4="

# What clients print for --help, as far as it matters here.
WITH_SANDBOX = """\
  --binary-mode       Binary mode allows certain character sequences to be
                      processed as data that would otherwise be treated with a
  -o, --one-database  Ignore statements except those that occur while the
  --sandbox           Disallow commands that access the file system (except \\P
"""
BEFORE_SANDBOX = """\
  --binary-mode       By default, ASCII '\\0' is disallowed and '\\r\\n' is
                      translated to '\\n'. This switch turns off both features, and
                      also turns off parsing of all clientcommands except \\C and
                      DELIMITER, in non-interactive mode (for input piped to mysql
  --connect-expired-password
                      Notify the server that this client is prepared to handle
                      expired password sandbox mode even if --batch was
  -o, --one-database  Ignore statements except those that occur while the
"""
BEFORE_BINARY_MODE = """\
  -B, --batch         Don't use history file. Disable interactive behavior.
  -o, --one-database  Ignore statements except those that occur while the
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatabaseClient:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("AIRFLOW_CONN_A_DATABASE", "mysql://rollout:a%22b%5Cc@db.example.org:3307/")
    return DatabaseClient(DatabaseHook("a_database"))


def program(folder: Path, name: str, script: str, offers: str = WITH_SANDBOX) -> None:
    (folder / "help").write_text(offers)
    asked = f'if [ "$*" = "--no-defaults --help" ]; then cat {folder}/help; exit; fi'
    noted = f'printf "%s\\n" "$0" "$@" >{folder}/arguments; cp "${{1#*=}}" {folder}/options'
    (folder / name).write_text(f"#!/bin/bash\n{asked}\n{noted}\n{script}\n")
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


@pytest.mark.parametrize(
    ("offers", "sandbox"), [(WITH_SANDBOX, ["--sandbox"]), (BEFORE_SANDBOX, [])]
)
def test_a_load_gets_all_of_the_dump_and_runs_no_program(
    client: DatabaseClient, tmp_path: Path, offers: str, sandbox: list[str]
) -> None:
    program(tmp_path, "mariadb-dump", "true")
    program(tmp_path, "mariadb", f"cat >{tmp_path}/loaded", offers)
    client.load("keystone", io.BytesIO(RAW))
    assert (tmp_path / "loaded").read_bytes() == RAW
    assert (tmp_path / "arguments").read_text().splitlines()[2:] == [
        "--binary-mode", "--skip-local-infile", *sandbox, "--one-database", "keystone",
    ]  # fmt: skip
    assert client_missing() is None


def test_a_client_that_would_run_what_a_dump_names_is_given_none(
    client: DatabaseClient, tmp_path: Path
) -> None:
    program(tmp_path, "mariadb-dump", "true")
    program(tmp_path, "mariadb", f"cat >{tmp_path}/loaded", BEFORE_BINARY_MODE)
    with pytest.raises(DatabaseClientFailed) as caught:
        client.load("keystone", io.BytesIO(RAW))
    assert str(caught.value) == client_missing()
    assert str(caught.value) == (
        "mariadb has no option --binary-mode (by its --help), so a line of a dump could run a "
        "program here: no dump is loaded. Next: install a MariaDB client"
    )
    assert not (tmp_path / "loaded").exists()


@pytest.mark.parametrize("mark", [b"/*!999999", b"/*M!999999"])
def test_the_line_at_which_older_clients_stop_is_left_out(
    client: DatabaseClient, tmp_path: Path, mark: bytes
) -> None:
    program(tmp_path, "mariadb", f"cat >{tmp_path}/loaded")
    client.load("keystone", io.BytesIO(mark + b"\\- enable the sandbox mode */ \n" + RAW))
    assert (tmp_path / "loaded").read_bytes() == b" \n" + RAW, "every line keeps its number"


def test_of_a_failed_load_only_number_and_line_are_said(
    client: DatabaseClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    printed = (
        f"--------------\n{SECRET}\n--------------\nERROR 1064 (42000) at line 7: near '{SECRET}'"
    )
    (tmp_path / "printed").write_text(printed)
    program(tmp_path, "mariadb", f"cat {tmp_path}/printed >&2; exit 1")
    with pytest.raises(DatabaseClientFailed) as caught:
        client.load("keystone", io.BytesIO(b"INSERT"))
    assert str(caught.value) == (
        "mariadb ended with exit status 1, allowed is 0: ERROR 1064 (42000) at line 7"
    )
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("ERROR 1062 (23000) at line 12: Duplicate entry 'x'", "ERROR 1062 (23000) at line 12"),
        ("ERROR at line 3: Unknown command '\\x'.", "ERROR at line 3"),
        ("ERROR 1044 (42000): Access denied to database 'x'", "ERROR 1044 (42000)"),
        ("ERROR 1045 (28000): Access denied for a", "ERROR 1045 (28000): Access denied for a"),
        ("ERROR 2002 (HY000): Can't connect", "ERROR 2002 (HY000): Can't connect"),
        ("x", "what it printed may quote the dump, and is not shown"),
    ],
)  # fmt: skip
def test_an_error_keeps_its_text_only_if_that_cannot_be_a_dumps(line: str, kept: str) -> None:
    assert without_content([line]) == [kept]


def test_a_failed_dump_is_quoted(client: DatabaseClient, tmp_path: Path) -> None:
    program(tmp_path, "mariadb-dump", "echo 'Error 28: no space \\377' >&2; exit 1")
    with pytest.raises(DatabaseClientFailed) as caught:
        client.dump(["keystone"], io.BytesIO())
    assert str(caught.value) == (
        "mariadb-dump ended with exit status 1, allowed is 0: Error 28: no space \\377"
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AgreeingDatabase]:
    if shutil.which("mariadb") is None:
        pytest.skip("no MariaDB client on this machine")
    with agreeing_database() as server:
        connection = {"conn_type": "mysql", "host": "127.0.0.1", "port": server.port,
                      "login": "rollout", "password": PASSWORD}  # fmt: skip
        monkeypatch.setenv("AIRFLOW_CONN_A_DATABASE", json.dumps(connection))
        yield server


def load(content: bytes) -> None:
    DatabaseClient(DatabaseHook("a_database")).load("keystone", io.BytesIO(content))


def test_the_real_client_loads_a_dump(server: AgreeingDatabase) -> None:
    load(
        b"/*M!999999\\- enable the sandbox mode */ \nSELECT 1;\nDELIMITER ;;\nSELECT 'a;\\r\nb';;\n"
    )
    assert server.statements == [b"SELECT 1", b"SELECT 'a;\\r\nb'"]


@pytest.mark.parametrize(
    "line",
    [
        b"\\! touch {}", b"system touch {}", b"SELECT 1; \\! touch {}", b"/*! \\! touch {} */;",
        b"tee {}", b"\\T {}", b"/*M!999999\\- */ \\! touch {}",
    ],
)  # fmt: skip
def test_the_real_client_runs_nothing_and_writes_nothing(
    server: AgreeingDatabase, tmp_path: Path, line: bytes
) -> None:
    made = tmp_path / "made"
    with suppress(DatabaseClientFailed):
        load(line.replace(b"{}", str(made).encode()) + b"\n;SELECT 1;\n")
    assert not made.exists()


def test_the_real_client_hands_no_file_of_this_machine_over(
    server: AgreeingDatabase, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(SECRET)
    with pytest.raises(DatabaseClientFailed, match="ERROR 2000"):
        load(f"LOAD DATA LOCAL INFILE '{tmp_path}/key' INTO TABLE t;\n".encode())
    assert server.files == [b""]


def test_the_real_clients_error_does_not_show_what_stands_in_the_file(
    server: AgreeingDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DatabaseClientFailed) as caught:
        load(f"SELECT 1;\nSYNTAX {SECRET};\n".encode())
    assert server.statements[-1] == f"SYNTAX {SECRET}".encode(), "the server quotes it"
    assert str(caught.value).endswith(": ERROR 1064 (42000) at line 2")
    assert SECRET not in caplog.text


def limited(dump: int, still: int) -> DatabaseClient:
    limits = Limits(dump_seconds=dump, statement_seconds=still)
    return DatabaseClient(DatabaseHook("a_database", limits=limits))


STANDS_STILL = (
    "was ended: measured 1 s in which not a byte of the dump moved, the limit "
    r"\(limits.statement_seconds\)"
)


def test_a_dump_that_stands_still_is_ended(client: DatabaseClient, tmp_path: Path) -> None:
    program(tmp_path, "mariadb-dump", f"echo $$ >{tmp_path}/pid; echo begun; sleep 60")
    with pytest.raises(DatabaseClientFailed, match=f"^mariadb-dump {STANDS_STILL}"):
        limited(dump=50, still=1).dump(["keystone"], io.BytesIO())
    wait_gone(int((tmp_path / "pid").read_text()))


def test_a_load_of_which_nothing_is_taken_is_ended(client: DatabaseClient, tmp_path: Path) -> None:
    program(tmp_path, "mariadb", f"echo $$ >{tmp_path}/pid; sleep 60")
    with pytest.raises(DatabaseClientFailed, match=f"^mariadb {STANDS_STILL}"):
        limited(dump=50, still=1).load("keystone", io.BytesIO(RAW))
    wait_gone(int((tmp_path / "pid").read_text()))


def test_a_load_that_goes_on_slowly_is_not(client: DatabaseClient, tmp_path: Path) -> None:
    """It prints nothing: that it takes the dump is the sign."""
    program(tmp_path, "mariadb", "for _ in 1 2 3 4 5; do head -c 160000 >/dev/null; sleep .5; done")
    limited(dump=50, still=2).load("keystone", io.BytesIO(RAW))


def test_a_dump_that_does_not_come_to_an_end_is_ended(
    client: DatabaseClient, tmp_path: Path
) -> None:
    program(tmp_path, "mariadb-dump", "while :; do echo more; sleep .2; done")
    with pytest.raises(DatabaseClientFailed) as caught:
        limited(dump=2, still=1).dump(["keystone"], io.BytesIO())
    assert str(caught.value) == (
        "mariadb-dump was ended: measured more than 2 s, the limit (limits.dump_seconds). Raise it "
        "if the database needs as long"
    )


@pytest.mark.skipif(shutil.which("mariadb") is None, reason="a database client is not installed")
@pytest.mark.parametrize("serve", [swallowing_server, full_server])
@pytest.mark.parametrize("work", ["dump", "load"])
def test_the_real_clients_are_ended_too(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[], AbstractContextManager[int]], work: str
) -> None:
    with serve() as port:
        monkeypatch.setenv("AIRFLOW_CONN_A_DATABASE", f"mysql://r:p@127.0.0.1:{port}/")
        ended = limited(dump=50, still=1)
        works = {
            "dump": lambda: ended.dump(["keystone"], io.BytesIO()),
            "load": lambda: ended.load("keystone", io.BytesIO(RAW)),
        }
        with pytest.raises(DatabaseClientFailed, match=STANDS_STILL):
            works[work]()


@pytest.mark.skipif(shutil.which("mariadb") is None, reason="needs the real client")
def test_the_real_client_reads_its_options_from_memory(
    client: DatabaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nothing may be written here"))
    with client._options() as options, (tmp_path / "said").open("wb") as stream:
        _run("mariadb", options, ["--print-defaults"], Limits(), stdout=stream)
    said = (tmp_path / "said").read_text()
    assert "--host=db.example.org --port=3307 --user=rollout" in said
    assert "--password=" in said
