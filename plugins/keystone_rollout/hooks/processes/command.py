"""Run a program that a cloud file names, without a shell, with a limit, its output in the log."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from keystone_rollout.hooks.files.project import PROJECT

POLL_SECONDS = 0.5
BEAT_SECONDS = 30.0
END_SECONDS = 10.0
LAST_LINES = 5

log = logging.getLogger(__name__)


class CommandFailed(RuntimeError):
    """Say which program failed, how, and what it printed last."""


def run_outside(
    command: Sequence[str], seconds: float, heartbeat: Callable[[], object] = lambda: None
) -> None:
    """Run a program in the project's folder until it has ended; CommandFailed unless it exits 0.

    One whose name has a slash counts from there. However this ends, nothing of it goes on.

    :param seconds: after which it is ended, with all that it has started
    :param heartbeat: called every half a minute meanwhile; what it raises is only logged
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        process = subprocess.Popen(
            [_program(command[0]), *command[1:]],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailed(
            f"{command[0]} cannot be started: {error.strerror}. Next: correct the command in the "
            "cloud file, or install the program on the worker"
        ) from error
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(process.stdout, last), daemon=True)
    reader.start()
    try:
        late = not _ended(process, time.monotonic() + seconds, heartbeat)
    finally:
        _end(process)
        reader.join(END_SECONDS)
    said = f". It printed last: {' | '.join(last)}" if last else ". It printed nothing"
    if late:
        raise CommandFailed(
            f"{command[0]} was ended: measured {seconds:g} s without an end, limit {seconds:g} s "
            f"(rehearsal.reset_seconds){said}"
        )
    if process.returncode != 0:
        raise CommandFailed(
            f"{command[0]} ended with exit status {process.returncode}, allowed is 0{said}"
        )


def _program(name: str) -> str:
    return str(PROJECT / name) if "/" in name and not Path(name).is_absolute() else name


def _read(stream: IO[str], last: deque[str]) -> None:
    for line in stream:
        text = line.rstrip()
        if text:
            last.append(text)
            log.info("%s", text)


def _ended(
    process: subprocess.Popen[str], deadline: float, heartbeat: Callable[[], object]
) -> bool:
    """Wait for the end; False where the time is over before it."""
    beat = time.monotonic() + BEAT_SECONDS
    while process.poll() is None:
        now = time.monotonic()
        if now > deadline:
            return False
        if now > beat:
            beat = now + BEAT_SECONDS
            try:
                heartbeat()
            except Exception as error:  # a reset may well take the database away for a while
                log.warning("the lock's heartbeat failed: %s", error)
        time.sleep(POLL_SECONDS)
    return True


def _end(process: subprocess.Popen[str]) -> None:
    """End what is left of the program's process group, politely first."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
