"""Run a program that a cloud file names, with a limit, its output in the log."""

from __future__ import annotations

import logging
import shlex
import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.places.place import PlaceError, TimedOut
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.files.project import PROJECT
from keystone_rollout.hooks.places.local import LocalPlace

LAST_LINES = 5

log = logging.getLogger(__name__)


class CommandFailed(RuntimeError):
    """A program that failed, how, and its last output."""


def run_outside(
    command: Sequence[str],
    seconds: float,
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Run a program in the project's folder until it has ended; CommandFailed unless it exits 0.

    One whose name has a slash counts from there. No argument is shell text. However this ends,
    nothing of it goes on.

    :param seconds: after which it is ended, with all that it has started
    """
    last: deque[str] = deque(maxlen=LAST_LINES)

    def tell(line: str) -> None:
        last.append(line)
        log.info("%s", line)

    script = shlex.join([_program(command[0]), *command[1:]])
    try:
        done = LocalPlace(PROJECT, clock).run(script, limit=seconds, tell=tell)
    except TimedOut as error:
        raise CommandFailed(
            f"{command[0]} was ended: measured {seconds:g} s without an end, limit {seconds:g} s "
            f"(rehearsal.reset_seconds){_said(last)}"
        ) from error
    except PlaceError as error:
        raise CommandFailed(f"{command[0]}: {error}{_said(last)}") from error
    if done.status != 0:
        raise CommandFailed(
            f"{command[0]} ended with exit status {done.status}, allowed is 0{_said(last)}"
        )


def _program(name: str) -> str:
    """Return the program to start; CommandFailed if it cannot be."""
    inside = "/" in name and not Path(name).is_absolute()
    program = str(PROJECT / name) if inside else name
    if shutil.which(program) is None:
        why = "Permission denied" if Path(program).is_file() else "No such file or directory"
        raise CommandFailed(
            f"{name} cannot be started: {why}. Next: correct the command in the cloud file, or "
            "install the program on the worker"
        )
    return program


def _said(last: Sequence[str]) -> str:
    return f". It printed last: {' | '.join(last)}" if last else ". It printed nothing"
