"""Record the load: samples and its state every second, failures and acknowledged writes at once.

It needs neither Locust nor gevent, so it is tested without them: the locustfile feeds it.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from keystone_rollout.domain.load.samples import Sample, response_time_bucket
from keystone_rollout.domain.load.state import LoadState

# Fernet tokens begin with the version byte 0x80, which base64 turns into gAAAA.
_FERNET_TOKEN = re.compile(r"gAAAA[\w-]{20,}=*")
_ERROR_LENGTH = 300


def scrub(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return ``text`` on one line without tokens and without the given secrets.

    Keystone quotes the offending value in some of its errors, so that a password can come back
    in an answer. Longest secret first: one may be the beginning of another.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    text = _FERNET_TOKEN.sub("[token]", text)
    return " ".join(text.split())[:_ERROR_LENGTH]


class LineFile:
    """A file of JSON lines, each appended with one system call.

    A process killed at any moment then leaves whole lines behind. If a line is cut off all the same
    (a full disk), the rest of it is dropped, at once or when the file is opened again, so that the
    next line is not appended to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _drop_cut_off_line(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, fields: dict[str, Any]) -> None:
        """Append one object."""
        self.write_line(json.dumps(fields, separators=(",", ":")))

    def write_line(self, line: str) -> None:
        """Append one line, given without its newline; a short write is an OSError."""
        data = f"{line}\n".encode()
        written = os.write(self._descriptor, data)
        if written != len(data):
            _drop_cut_off_line(self.path)
            raise OSError(f"{self.path}: wrote {written} of {len(data)} bytes, is the disk full?")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _drop_cut_off_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


class _Second:
    """The requests that ended within one second."""

    def __init__(self) -> None:
        self.requests = 0
        self.failures = 0
        self.longest_gap = 0.0
        self.last_success: float | None = None
        self.ms: Counter[float] = Counter()
        self.by_name: dict[str, list[int]] = {}


class SampleWriter:
    """The samples of a load: one line per second, also for a second without requests.

    ``request`` is called when a request has ended, ``tick`` about once a second. A late tick
    writes all seconds that have gone by, so that a stalled process leaves no hole.
    """

    def __init__(self, path: Path, now: float) -> None:
        self._file = LineFile(path)
        self._next = int(now)
        self._seconds: dict[int, _Second] = {}
        self._last_success: float | None = None
        self._written_success: float | None = None

    def request(self, name: str, milliseconds: float, *, ok: bool, now: float) -> None:
        """Count one request that ended at ``now`` (epoch seconds)."""
        # A clock set back must not open a second that is already written.
        second = self._seconds.setdefault(max(int(now), self._next), _Second())
        second.requests += 1
        second.ms[response_time_bucket(milliseconds)] += 1
        counts = second.by_name.setdefault(name, [0, 0])
        counts[0] += 1
        if not ok:
            counts[1] += 1
            second.failures += 1
            return
        if self._last_success is not None:
            second.longest_gap = max(second.longest_gap, now - self._last_success)
        self._last_success = second.last_success = now

    def tick(self, now: float, users: int) -> None:
        """Write every second that is over at ``now``."""
        while self._next + 1 <= now:
            self._write(self._next, users)
            self._next += 1

    def close(self, now: float, users: int) -> None:
        """Write the rest, including the second in progress."""
        self.tick(now, users)
        for second in sorted(self._seconds):
            self._write(second, users)
        self._file.close()

    def _write(self, t: int, users: int) -> None:
        second = self._seconds.pop(t, None) or _Second()
        if second.last_success is not None:
            self._written_success = round(second.last_success, 3)
        sample = Sample(
            t=t,
            requests=second.requests,
            failures=second.failures,
            users=users,
            last_success=self._written_success,
            longest_gap=round(second.longest_gap, 3),
            ms=second.ms,
            by_name={name: (counts[0], counts[1]) for name, counts in second.by_name.items()},
        )
        self._file.write_line(sample.to_line())


class StateWriter:
    """The file in which the load says what it does, replaced at each write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, state: LoadState) -> None:
        """Write a state so that a reader finds it whole."""
        partial = self._path.with_suffix(".partial")
        partial.write_text(state.to_text())
        partial.replace(self._path)


class FailureWriter:
    """The failed requests, each written at once."""

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)

    def failure(self, now: float, name: str, method: str, status: int, error: str) -> None:
        """Append one failure; ``status`` is 0 if no answer came."""
        self._file.write(
            {"t": round(now, 3), "name": name, "method": method, "status": status, "error": error}
        )


class Ledger:
    """The users that Keystone acknowledged, for the check at the end.

    ``created``, ``password_changed`` and ``deleted`` stand there only after the server's answer.
    A change and a deletion announce themselves first (``..._sent``): if the load is killed
    between request and answer, the check knows that either outcome is right.
    """

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)

    def event(self, now: float, event: str, user_id: str, name: str, generation: int) -> None:
        """Append one event of a user; ``generation`` is that of its password afterwards."""
        self._file.write(
            {
                "t": round(now, 3),
                "event": event,
                "id": user_id,
                "name": name,
                "generation": generation,
            }
        )
