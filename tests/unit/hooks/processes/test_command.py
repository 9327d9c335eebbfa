"""A program of the cloud file runs without a shell, within its limit, and leaves nothing behind."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import pytest

from keystone_rollout.hooks.files.project import PROJECT
from keystone_rollout.hooks.processes.command import CommandFailed, run_outside
from tests.process_end import wait_gone


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_it_runs_in_the_project_and_its_output_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run_outside(python("import os; print('in', os.getcwd())"), 20)
    assert f"in {PROJECT}" in caplog.text


def test_arguments_are_no_shell_text(tmp_path: Path) -> None:
    target = tmp_path / "made"
    code = "import sys; assert sys.argv[1:] == ['$(touch x); *']"
    run_outside([*python(code), "$(touch x); *"], 20)
    assert not target.exists()


def test_a_failure_says_the_status_and_what_was_printed_last() -> None:
    code = "import sys; [print(n, flush=True) for n in range(9)]; sys.exit(3)"
    with pytest.raises(CommandFailed) as caught:
        run_outside(python(code), 20)
    assert str(caught.value) == (
        f"{sys.executable} ended with exit status 3, allowed is 0. It printed last: "
        "4 | 5 | 6 | 7 | 8"
    )
    with pytest.raises(CommandFailed, match=r"exit status 1, allowed is 0\. It printed nothing"):
        run_outside(["/bin/false"], 20)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandFailed, match="no-such-program cannot be started: No such file"):
        run_outside(["no-such-program"], 20)
    with pytest.raises(CommandFailed, match=r"README\.md cannot be started: Permission denied"):
        run_outside(["./README.md"], 20)


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    began = time.monotonic()
    with pytest.raises(CommandFailed, match=r"was ended: .* limit 3 s \(rehearsal.reset_seconds\)"):
        run_outside(python(code), 3)
    assert time.monotonic() - began < 30
    wait_gone(int(pid.read_text()))


def test_what_ended_by_itself_leaves_nothing_at_work_either(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib\n"
        "null = subprocess.DEVNULL\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " stdout=null, stderr=null)\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid))\n"
    )
    run_outside(python(code), 30)
    wait_gone(int(pid.read_text()))


def test_it_reads_nothing_from_our_terminal() -> None:
    run_outside(python("import sys; assert sys.stdin.read() == ''"), 20)
