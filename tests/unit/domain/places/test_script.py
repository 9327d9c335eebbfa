"""A script's own words are found between its marks, whatever stands around them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from keystone_rollout.domain.node.privileges import covers, privilege_problem
from keystone_rollout.domain.places.script import (
    Said,
    bounded,
    is_mark,
    marked,
    plain_text,
    said,
    socat,
)


def printed(script: str, shell: str = "bash", before: str = "", after: str = "") -> bytes:
    text = f"{before}({marked(script, 'token', shell)})\n{after}"
    return subprocess.run([shell, "-c", text], capture_output=True, check=False).stdout


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("echo Welcome; printf 'no newline'\n", "echo goodbye"),
        ("printf '\\033[31m\\377\\376'\n", "printf '\\377'"),
        ("printf 'token-begins and token-ends 7\\n'\n", "echo token-ends 9"),
    ],
)
def test_noise_changes_nothing_that_is_read(shell: str, before: str, after: str) -> None:
    assert said(printed("printf 'a\\nb'; exit 3", shell, before, after), "token") == Said(
        True, b"a\nb", 3
    )


def test_a_profile_of_every_shell_greets_before_the_first_mark_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "profile").write_text("echo Welcome\n")
    monkeypatch.setenv("BASH_ENV", str(tmp_path / "profile"))
    assert said(printed("echo a"), "token") == Said(True, b"a\n", 0)


@pytest.mark.parametrize("between", [" ", "\n"])
def test_the_command_itself_in_the_output_is_no_mark(between: str) -> None:
    """As a server prints it that logs what was asked for, on however many lines."""
    text = marked("echo mine", "token", "bash").replace(" ", between)
    assert said(text.encode() + printed("echo mine"), "token") == Said(True, b"mine\n", 0)


@pytest.mark.parametrize(
    ("script", "output", "status"),
    [
        ("true", b"", 0), ("set -e; echo a; false; echo b", b"a\n", 1), ("exit 124", b"", 124),
        ("echo 'it''s' \"a  b\" '$x' \\\\", b"its a  b $x \\\n", 0), ("kill -9 $$", b"", 137),
        ("printf '\\n\\n'", b"\n\n", 0),
    ],
)  # fmt: skip
def test_output_and_status_are_the_scripts(script: str, output: bytes, status: int) -> None:
    assert said(printed(script), "token") == Said(True, output, status)


def test_a_script_that_is_no_shell_text_is_a_failed_one() -> None:
    assert said(printed("if ("), "token") == Said(True, b"", 2)


@pytest.mark.parametrize(
    "text", [b"", b"token-begins\n", b"\ntoken-beg", b"\ntokem-begins\na\ntokem-ends 0\n"]
)
def test_without_its_first_mark_nothing_is_the_scripts(text: bytes) -> None:
    assert said(text, "token") == Said(False, b"", None)


@pytest.mark.parametrize("end", [b"", b"\ntoken-ends", b"\ntoken-ends 1", b"\ntoken-ends \n"])
def test_without_a_whole_second_mark_there_is_no_status(end: bytes) -> None:
    assert said(b"\ntoken-begins\na" + end, "token").status is None


def test_marks_are_known_by_their_line() -> None:
    assert is_mark("token-begins", "token")
    assert is_mark("token-ends 0", "token")
    assert not is_mark("a token-ends 0", "token")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[1;31mred\x1b[0m\x1b[K", "red"),
        (b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
        (b"\x1b(Ba\x1b7b\x1bMc", "abc"),
        (b"a\xff\xfeb\xc3\xa9", "a\ufffd\ufffdbé"),
        (b"[1m stays, and so does \t and \r", "[1m stays, and so does \t and \r"),
    ],
)
def test_text_is_read_without_escapes_and_never_strictly(raw: bytes, text: str) -> None:
    assert plain_text(raw) == text


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_bounded_script_has_its_input_and_its_status(shell: str) -> None:
    text = bounded("cat; exit 5", 5, shell)
    done = subprocess.run([shell, "-c", text], input=b"in", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (5, b"in", b"")


def test_socat_is_one_complete_line_of_sudoers() -> None:
    command = socat("/var/lib/kolla/haproxy/haproxy.sock")
    privilege = f"/usr/bin/{command}"
    assert privilege_problem(privilege) is None
    assert covers(privilege, f"/usr/bin/{command}")
    assert not covers(privilege, f"/usr/bin/{command}x")


@pytest.mark.parametrize("path", ["haproxy.sock", "/a b", "/a,fork", "/a:b", "/a;b", "/*", ""])
def test_a_path_that_means_more_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not allowed; allowed is an absolute path"):
        socat(path)
