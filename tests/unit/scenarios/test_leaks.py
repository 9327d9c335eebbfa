"""The search for secrets finds what is planted, and never prints it."""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.scenarios.command_lines import CommandLines, command_lines
from tests.scenarios.leaks import files_below, find_leaks, search, secret_lines, without_secrets

PASSWORD = b"0123456789abcdef0123456789abcdef"
SECRETS = {"database_admin": PASSWORD}
TOKEN = b"gAAAAABb" + b"x" * 80


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"user=rollout password=" + PASSWORD + b"\n", ["database_admin"]),
        (b"\x00\x01" + PASSWORD + b"\xff", ["database_admin"]),
        (b'{"X-Subject-Token": "' + TOKEN + b'"}', ["a fernet token"]),
        (PASSWORD + TOKEN, ["database_admin", "a fernet token"]),
        (PASSWORD[:-1], []),
        (b"gAAAAABb too short", []),
        (b"", []),
    ],
)
def test_a_planted_secret_is_found(content: bytes, found: list[str]) -> None:
    leaks = find_leaks("run.log", content, SECRETS)
    assert [leak.secret for leak in leaks] == found
    assert {leak.place for leak in leaks} <= {"run.log"}


def test_a_leak_names_the_secret_and_does_not_repeat_it() -> None:
    (leak,) = find_leaks("run.log", PASSWORD, SECRETS)
    assert str(leak) == "database_admin is in run.log"
    assert PASSWORD.decode() not in repr(leak)


def test_every_file_below_a_folder_is_searched(tmp_path: Path) -> None:
    (tmp_path / "load" / "1").mkdir(parents=True)
    (tmp_path / "load" / "1" / "ledger.jsonl").write_bytes(b"..." + PASSWORD)
    (tmp_path / "events.jsonl").write_bytes(b"clean")
    single = tmp_path / "upgrade.log"
    single.write_bytes(TOKEN)
    leaks = search(files_below(tmp_path / "load", single), SECRETS)
    assert [str(leak) for leak in leaks] == [
        f"database_admin is in {tmp_path / 'load' / '1' / 'ledger.jsonl'}",
        f"a fernet token is in {single}",
    ]
    assert search(files_below(tmp_path / "events.jsonl"), SECRETS) == []


def test_a_value_that_spans_pages_of_a_database_is_found(tmp_path: Path) -> None:
    """Between two pages SQLite writes a page number into the middle of a long text."""
    path = tmp_path / "airflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE xcom (key TEXT, value TEXT)")
        for offset in range(0, 4096, 16):
            value = "-" * 6000 + PASSWORD.decode() + "-" * (3000 + offset)
            connection.execute("INSERT INTO xcom VALUES (?, ?)", (str(offset), value))
    connection.close()
    whole = path.read_bytes().count(PASSWORD)
    assert whole < 256, "no value is in pieces: the test proves nothing"
    values = dict(files_below(path))[f"{path} (values)"]
    assert values.count(PASSWORD) == 256


def test_a_blob_in_a_database_is_found(tmp_path: Path) -> None:
    path = tmp_path / "airflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "rendered ""fields" (value BLOB)')
        connection.execute('INSERT INTO "rendered ""fields" VALUES (?)', (PASSWORD,))
    connection.close()
    leaks = search([one for one in files_below(path) if "values" in one[0]], SECRETS)
    assert [leak.secret for leak in leaks] == ["database_admin"]


def test_a_private_keys_body_is_secret_and_its_frame_is_not() -> None:
    body = base64.b64encode(os.urandom(60)).decode()
    text = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body[:70]}\n{body[70:]}\n-----END KEY-----\n"
    lines = secret_lines("id_ed25519", text)
    assert list(lines) == ["id_ed25519, line 1", "id_ed25519, line 2"]
    assert find_leaks("log", b"BEGIN OPENSSH PRIVATE KEY", lines) == []
    assert find_leaks("log", b"Key: " + body[70:].rstrip("=").encode(), lines)


def test_a_fernet_key_is_found_without_its_padding_too() -> None:
    key = base64.urlsafe_b64encode(os.urandom(32)).decode()
    lines = secret_lines("fernet key 0", key + "\n")
    assert find_leaks("log", key.rstrip("=").encode() + b"%3D", lines)


def test_a_secret_on_a_command_line_is_seen() -> None:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", f"--token={TOKEN.decode()}"]
    with CommandLines() as lines, subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 10
        while not any(TOKEN in line for line in lines.seen):
            assert time.monotonic() < deadline, f"not seen in {lines.looks} looks"
            time.sleep(0.05)
        process.kill()
    leaks = search((("a command line", line) for line in lines.seen), SECRETS)
    assert [str(leak) for leak in leaks] == ["a fernet token is in a command line"]


def test_what_else_is_looked_at_is_kept_too() -> None:
    with CommandLines(also=lambda: {b"inspected"}) as lines:
        deadline = time.monotonic() + 10
        while not lines.looks:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert b"inspected" in lines.seen


def test_our_own_command_line_is_among_all() -> None:
    own = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").strip()
    assert own in command_lines()


def test_a_leak_is_named_without_what_leaked() -> None:
    line = b"python -c secret-word-1234 gAAAAA" + b"x" * 70 + b" " + b"y" * 300
    named = without_secrets(line, {"a password": b"secret-word-1234"})
    assert named.startswith("python -c *** *** yyy")
    assert len(named) == 160
