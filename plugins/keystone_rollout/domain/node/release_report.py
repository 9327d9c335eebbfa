"""The release that a node's service was started from, known without asking a clock.

A package that was replaced without a restart shows in no version. File dates would tell, if nobody
ever set a clock; so step `start` notes on the node which process it started, from what. The next
report shows both: the process and the packages of now, and those that were noted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from keystone_rollout.domain.node.command_lock import FOLDER
from keystone_rollout.domain.releases.identity import same_build

NOTE = f"{FOLDER}/started"
"""File below the SSH user's home: what `report_release` printed right after the last start."""


@dataclass(frozen=True)
class RunningRelease:
    """The release that a node has installed, and whether the running service is that release."""

    installed: str
    running: bool
    stale: bool = False
    certain: bool = True
    """Whether more than file dates says that the service was started from what is installed."""

    def serves(self, release: str) -> bool:
        """Tell whether the service runs, and runs this release as far as anybody can tell."""
        return self.running and not self.stale and same_build(release, self.installed)

    def serves_for_certain(self, release: str) -> bool:
        """Tell whether the service runs this release, whatever was done to the node's clock."""
        return self.serves(release) and self.certain

    @property
    def in_full(self) -> str:
        """Return the report, with what keeps it from being certain."""
        if not self.running or self.stale or self.certain:
            return str(self)
        return f"{self}, but only file dates say so: it was not started by an upgrade"

    def __str__(self) -> str:
        if not self.running:
            return f"{self.installed} installed, service stopped"
        if self.stale and not self.certain:
            return f"{self.installed} installed, service may still run what was there before"
        if self.stale:
            return f"{self.installed} installed, service still runs what was there before"
        return f"{self.installed} running"


@dataclass(frozen=True)
class NodeReport:
    """A node's report about its release, or why there is none."""

    release: RunningRelease | None = None
    problem: str = ""

    @property
    def installed(self) -> str:
        """Return the installed release; empty if it is not known."""
        return self.release.installed if self.release else ""

    def serves(self, release: str) -> bool:
        """Tell whether the node is known to run this release."""
        return self.release is not None and self.release.serves(release)

    def serves_for_certain(self, release: str) -> bool:
        """Tell whether it runs this release, whatever was done to its clock."""
        return self.release is not None and self.release.serves_for_certain(release)

    @property
    def in_full(self) -> str:
        """Return the report, with what keeps it from being certain."""
        return self.release.in_full if self.release else str(self)

    def __str__(self) -> str:
        return str(self.release) if self.release else f"unknown: {self.problem}"


_LINE = re.compile(
    r"(?P<version>\S+) +(?P<packages>(?P<installed>\d+)(?:\.\S+)?) +"
    r"(?:stopped|(?P<started>\d+)(?: +(?P<boot>[\w-]+)\.(?P<ticks>\d+) +(?P<now>\d+))?)"
)


@dataclass(frozen=True)
class _Line:
    """One line of `report_release`; ``None`` for what it does not say."""

    version: str
    packages: str
    installed: int
    started: int | None
    boot: str | None
    ticks: int
    now: int

    @classmethod
    def read(cls, text: str) -> _Line | None:
        found = _LINE.fullmatch(text.strip())
        if found is None:
            return None
        started = found["started"]
        return cls(
            version=found["version"],
            packages=f"{found['version']} {found['packages']}",
            installed=int(found["installed"]),
            started=None if started is None else int(started),
            boot=found["boot"],
            ticks=int(found["ticks"] or 0),
            now=int(found["now"] or 0),
        )


def parse_release_report(text: str) -> RunningRelease:
    """Read what step `report_release` printed, and after it the note; ValueError quotes the rest.

    A line is: version, installed, "stopped"; or version, installed, started, process, now. Times
    are epoch seconds by the node's clock; ``installed`` may go on with a dot and any word that
    changes whenever the packages do; ``process`` is the boot's id, a dot and the ticks since boot.
    A line of a step of one's own may end after ``started``: then dates are all that is asked.
    """
    first, _, second = text.strip().partition("\n")
    line, note = _Line.read(first), _Line.read(second)
    if line is None:
        raise ValueError(
            f"report_release printed {text.strip()!r}; expected: version installed stopped, or "
            "version installed started process now"
        )
    if line.started is None:
        return RunningRelease(line.version, running=False)
    if line.boot is None:
        return RunningRelease(line.version, running=True, stale=line.started < line.installed)
    stale = _is_stale(line, note) if note and note.boot else None
    if stale is not None:
        return RunningRelease(line.version, running=True, stale=stale)
    return RunningRelease(line.version, running=True, stale=_looks_stale(line), certain=False)


def _is_stale(line: _Line, note: _Line) -> bool | None:
    """Tell from the note whether the process is older than the packages; None if it cannot tell."""
    same_boot = line.boot == note.boot
    if line.packages == note.packages:
        # They were there before the noted process, so every process since then was started from
        # them; one that is older than that was not.
        return same_boot and line.ticks < note.ticks
    # Replaced since. A process of before that is stale; who restarted it when, nobody knows.
    return True if same_boot and line.ticks <= note.ticks else None


def _looks_stale(line: _Line) -> bool:
    """Tell from dates; one in the future says that somebody set the clock, and counts as yes."""
    assert line.started is not None
    return line.started < line.installed or max(line.started, line.installed) > line.now


def with_note(report: str) -> str:
    """Return a shell text that prints a report, and after it the note, if there is one."""
    return f"(\n{report}\n)\nstatus=$?\ncat {NOTE} 2>/dev/null\nexit $status"


def noting(start: str, report: str) -> str:
    """Return a shell text that starts the service, and notes which process that is, from what.

    Noted is only a process that this very text has started, from packages that stayed the same: a
    service that ran before it may be as old as it likes, and what it runs is not known from here.
    """
    return (
        f"before=$(exec 2>/dev/null\n{report}\n)\n"
        f"(\n{start}\n)\n"
        f"status=$?; test $status = 0 || exit $status\n"
        f"after=$(exec 2>/dev/null\n{report}\n)\n"
        f'packages=$(echo "$after" | cut -d" " -f1,2)\n'
        f'test "$before" = "$packages stopped" || exit 0\n'
        f'mkdir -p -m 0700 {FOLDER} && echo "$after" >{NOTE}.part && mv {NOTE}.part {NOTE}'
    )
