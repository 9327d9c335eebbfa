"""Append events to a run's record and read them back, whatever the disk says.

Nothing that a run does may fail because it cannot be written down: what is lost goes to the task's
log and is counted, and the record says so as soon as it can be written again.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keystone_rollout.domain.run.events import VERSION, Event, Opened, RecordUnreadable, Unwritten

log = logging.getLogger(__name__)

_uncounted: Counter[Path] = Counter()
"""What this process lost, if even the count could not be kept beside the record."""

CUT_OFF = "half a line was written, by a task that was killed or on a full disk"
LOST = "they could not be written; the logs of the tasks that lost them hold them, and say why"


class EventLog:
    """One record: a JSON object a line, appended by several processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lost = path.with_suffix(".lost")
        """Its size is the number of lost events: a file grows by a hole on a full disk, too."""

    def append(self, event: Event) -> bool:
        """Append an event; return False, and never raise, if it was lost."""
        try:
            self._append(event)
        except Exception as error:
            log.error("Not in the record, because it cannot be written (%s): %s", error, event)
            self._count_lost()
            return False
        return True

    def read(self) -> tuple[list[Mapping[str, Any]], int]:
        """Return the lines as plain data, and how many were cut off.

        RecordUnreadable for another version's record; one whose first line was cut off is taken
        for one of this version.
        """
        found = [_read_line(line) for line in self._content().split(b"\n") if line]
        if found and found[0].whole:
            self._check_version(found[0].data.get("version", 1))
        return [each.data for each in found if each.data], sum(not each.whole for each in found)

    def lost(self) -> int:
        """Return how many events are lost that the record does not say yet."""
        kept = self._lost.stat().st_size if self._lost.exists() else 0
        return kept + _uncounted[self.path]

    def _append(self, event: Event) -> None:
        with _locked(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
            size, lost = os.fstat(descriptor).st_size, self.lost()
            lines: list[Event] = [] if size else [Opened(t=event.t)]
            lines += [Unwritten(t=event.t, count=lost, reason=LOST)] if lost else []
            # What a killed task has cut off must not take this line with it.
            begin = b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""
            try:
                _write(descriptor, begin + b"".join(map(_line, [*lines, event])))
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
            if lost:
                self._forget_lost()

    def _content(self) -> bytes:
        try:
            with _locked(self.path, os.O_RDONLY, fcntl.LOCK_SH) as descriptor:
                return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        except FileNotFoundError:
            return b""

    def _check_version(self, version: Any) -> None:
        if version != VERSION:
            raise RecordUnreadable(
                f"{self.path} was recorded by another version of this project: record version "
                f"{version}, this one reads {VERSION}. Nothing was changed. Next: start a new run"
            )

    def _count_lost(self) -> None:
        try:
            with _locked(self._lost, os.O_RDWR | os.O_CREAT) as descriptor:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size + 1)
        except OSError:
            _uncounted[self.path] += 1

    def _forget_lost(self) -> None:
        self._lost.unlink(missing_ok=True)
        del _uncounted[self.path]


@dataclass(frozen=True)
class _Line:
    data: Mapping[str, Any]
    whole: bool


@contextmanager
def _locked(path: Path, flags: int, kind: int = fcntl.LOCK_EX) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)


def _line(event: Event) -> bytes:
    return json.dumps(event.to_dict(), sort_keys=True).encode() + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it; a short write is followed by the error that says why."""
    while data:
        data = data[os.write(descriptor, data) :]


def _read_line(line: bytes) -> _Line:
    """Return an event's data, also of one that stands behind the half of another; or nothing."""
    for begin in re.finditer(rb'\{"', line):
        try:
            data = json.loads(line[begin.start() :])
        except ValueError:
            continue
        if isinstance(data, dict) and {"kind", "t"} <= data.keys():
            return _Line(data, whole=begin.start() == 0)
    return _Line({}, whole=False)
