"""A run as a row: the one record that every campaign keeps of each run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from lab.cloud.database import VersionTables
from lab.data.known_users import Logins

State = Literal["green", "red", "not run"]


class Record(BaseModel):
    """A part of a campaign's JSON file, which never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Side(Record):
    """One end of a hop: the release, and the Python it ran on."""

    number: int
    codename: str
    version: str
    python: str = ""


class Row(Record):
    """A measured run. Times are seconds, latencies milliseconds, None if not measured.

    ``before``, ``heads`` and ``after`` are by phase; ``idle_phases`` had nothing to do, so
    keystone-manage was not run for them. ``reason`` says why the row is not green;
    ``lacks_sources``: this machine has no archive of a release that no package index has.
    ``began`` and ``command`` are UTC times: of the run, and of the command that measured it. A row
    that is ``set_aside`` was red, and a later row of the same key went on from there.

    Fields that only some campaigns measure are None in the others: ``users`` known after the run,
    and ``logins`` of a sample of them.
    """

    key: str
    title: str
    source: Side
    target: Side
    began: str
    command: str
    state: State = "not run"
    reason: str = ""
    lacks_sources: bool = False
    set_aside: bool = False
    suite: str = ""
    own_cache: bool = False
    before: dict[str, str] = {}
    heads: dict[str, str] = {}
    after: dict[str, str] = {}
    tables_before: VersionTables = {}
    tables_after: VersionTables = {}
    triggers_before: int | None = None
    triggers_most: int | None = None
    triggers_after: int | None = None
    idle_phases: list[str] = []
    requests: int = 0
    failures: int | None = None
    p99: float | None = None
    baseline_p99: float | None = None
    longest_gap: float | None = None
    out_of_rotation: dict[str, float] = {}
    lab_seconds: float | None = None
    upgrade_seconds: float | None = None
    run_id: str = ""
    users: int | None = None
    logins: Logins | None = None

    @property
    def p99_ratio(self) -> float | None:
        """Return the p99 of the whole run in multiples of the baseline's."""
        return self.p99 / self.baseline_p99 if self.p99 and self.baseline_p99 else None

    def updated(self, **changes: Any) -> Row:
        """Return the row with other values in some fields."""
        return Row.model_validate({**dict(self), **changes})

    def red(self, *reasons: str) -> Row:
        """Return the row as a red one, with more reasons."""
        known = [self.reason] if self.reason else []
        return self.updated(state="red", reason="; ".join([*known, *reasons]))


class Command(Record):
    """A command that measured rows. ``peak_bytes`` is above what was used at its start."""

    began: str
    typed: str
    cores: int
    memory_bytes: int
    start_bytes: int
    seconds: float = 0.0
    peak_bytes: int = 0


class Content(Record):
    """All of a campaign's JSON file; ``everyone`` are the logins at its end, if it has any."""

    rows: list[Row] = []
    commands: list[Command] = []
    everyone: Logins | None = None


def failed_and_total(rows: list[Row]) -> tuple[int | None, int]:
    """Return the requests of all rows that failed, and all of them.

    No row is left out; None failed if one of the runs did not measure it.
    """
    counts = [row.failures for row in rows if row.state != "not run"]
    failed = None if not counts or None in counts else sum(count or 0 for count in counts)
    return failed, sum(row.requests for row in rows)
