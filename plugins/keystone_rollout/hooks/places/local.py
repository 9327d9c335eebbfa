"""This machine as a place: each script in a session of its own, ended with its process group."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.places.place import Stream
from keystone_rollout.domain.places.script import END_SECONDS
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.places.exchange import Session
from keystone_rollout.hooks.places.shell import ShellPlace


class LocalSession:
    """One program at work (hooks.places.exchange.Session). However it ends, its group ends, too."""

    def __init__(
        self, command: Sequence[str], folder: Path | None = None, descriptors: Sequence[int] = ()
    ) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0,
            start_new_session=True, pass_fds=descriptors,
        )  # fmt: skip
        self._seconds: float | None = None
        self._reading = {self._out: threading.Lock(), self._err: threading.Lock()}
        self._reaper = threading.Thread(target=self._reap, daemon=True)
        self._reaper.start()

    @property
    def _out(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def _err(self) -> IO[bytes]:
        assert self.process.stderr is not None
        return self.process.stderr

    def sendall(self, data: bytes, /) -> None:
        assert self.process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self.process.stdin.write(view) :]

    def shutdown_write(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def recv(self, size: int, /) -> bytes:
        return self._read(self._out, size)

    def recv_stderr(self, size: int, /) -> bytes:
        return self._read(self._err, size)

    def settimeout(self, seconds: float | None, /) -> None:
        self._seconds = seconds

    def exit_status_ready(self) -> bool:
        return not self._reaper.is_alive()

    def recv_exit_status(self) -> int:
        """Return the exit status as a shell says it: 128 and more for a signal."""
        self._reaper.join()
        status = self.process.returncode
        return 128 - status if status < 0 else status

    def close(self) -> None:
        """End what is left of the group, politely first."""
        self._signal(signal.SIGTERM)
        self._reaper.join(END_SECONDS)
        self._signal(signal.SIGKILL)
        self._reaper.join()
        self.shutdown_write()
        for stream, reading in self._reading.items():
            # Held by a reader if something that left the group has kept the stream.
            if reading.acquire(timeout=0.2):
                stream.close()
                reading.release()

    def _read(self, stream: IO[bytes], size: int) -> bytes:
        with self._reading[stream]:
            if stream.closed:
                return b""
            if self._seconds is not None and not select.select([stream], [], [], self._seconds)[0]:
                raise TimeoutError(f"timed out: no answer for {self._seconds:g} s")
            return stream.read(size)

    def _signal(self, number: signal.Signals) -> None:
        if self._reaper.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def _reap(self) -> None:
        # Not reaped until its group is ended: its number could be somebody else's by then.
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class LocalPlace(ShellPlace):
    """This machine.

    :param folder: in which scripts run; by default where this process runs
    :param descriptors: open files that scripts inherit, under the same numbers
    """

    late_seconds = 0.0

    def __init__(
        self,
        folder: Path | None = None,
        clock: Clock = SYSTEM_CLOCK,
        descriptors: Sequence[int] = (),
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.descriptors = descriptors

    def __str__(self) -> str:
        return "this machine"

    @contextmanager
    def open(self, script: str, limit: float, connect_seconds: float = 0.0) -> Iterator[Session]:
        """Start a script with bash; whoever speaks with it keeps the limit."""
        command = ["bash", "-c", script]
        with closing(LocalSession(command, self.folder, self.descriptors)) as session:
            yield session

    def socket(self, path: str, seconds: float) -> Stream:
        """Connect to a Unix socket."""
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.settimeout(seconds)
            stream.connect(path)
        except BaseException:
            stream.close()
            raise
        return stream
