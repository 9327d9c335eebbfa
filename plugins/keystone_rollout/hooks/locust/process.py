"""Identify one process for good, so that a reused pid is never signalled."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from keystone_rollout.domain.clock import Clock
from keystone_rollout.hooks.files.whole_file import whole_file


@dataclass(frozen=True)
class LoadProcess:
    """The load's process: ``start_time`` is field 22 of /proc/<pid>/stat, in clock ticks.

    The pid is that of the process group too, because the load is started in a session of its own.
    """

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> LoadProcess:
        """Return the identity of a running process; ProcessLookupError if there is none."""
        start_time = _start_time(pid)
        if start_time is None:
            raise ProcessLookupError(f"process {pid} ended at once")
        return cls(pid=pid, start_time=start_time)

    @classmethod
    def load(cls, path: Path) -> LoadProcess | None:
        """Return the identity that ``save`` wrote, or None without such a file."""
        try:
            fields = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return cls(pid=int(fields["pid"]), start_time=int(fields["start_time"]))

    def save(self, path: Path) -> None:
        """Write the identity so that another process finds it whole or not at all."""
        with whole_file(path) as stream:
            stream.write(json.dumps(asdict(self)).encode() + b"\n")

    def runs(self) -> bool:
        """Return whether this very process still runs; a zombie does not."""
        return _start_time(self.pid) == self.start_time

    def interrupt(self) -> None:
        """Send SIGINT, on which Locust ends its users, then writes its report."""
        if self.runs():
            os.kill(self.pid, signal.SIGINT)

    def end_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children, and to nobody else."""
        if self.runs():
            os.killpg(self.pid, number)

    def wait(self, seconds: float, reap: Callable[[], object], clock: Clock) -> bool:
        """Return whether the process is gone within ``seconds``.

        ``reap`` is called in between: in the process that started it, it collects the exit code.
        """
        deadline = clock.elapsed() + seconds
        while self.runs():
            if clock.elapsed() >= deadline:
                return False
            clock.sleep(0.05)
            reap()
        return True


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command in parentheses and may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    state, start_time = fields[0], fields[19]
    return None if state in "ZX" else int(start_time)
