"""docs/odyssey.json and docs/odyssey.md: one database on its long way, hop by hop."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.campaigns.hop_page import (
    evidence,
    measurements_table,
    schema_change,
    summary_table,
    version_tables,
)
from lab.campaigns.hop_record import HopRecord
from lab.campaigns.markdown import duration, gibibytes, number, quote, table, write_whole
from lab.campaigns.peak_memory import Machine
from lab.data.known_users import Logins
from lab.data.version_tables import VersionTables

OPENING = """\
# One database, every release

One database with its data and keys goes through every release, under load in every hop, with the
real DAG. Between two hops the nodes are made anew at the next source release; the database and the
keys stay as the hop before left them. At the end every user that was ever made and not deleted has
to log in: those of the lab, those that the load created, and those that were made before and in the
middle of each hop. `make odyssey` measures and writes this page.
"""

SET_ASIDE = """\
The way stopped here, the cause was mended, and it went on from the same database. The requests of
these attempts are counted, and whoever was made in them has to log in at the end, too.
"""


@dataclass(frozen=True)
class Stage:
    """One hop of the way, with its users.

    ``users`` is how many are known after it, ``sample`` what became of logging in as some of them.
    """

    record: HopRecord
    users: int = 0
    sample: Logins | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: the record's, with the users beside it."""
        sample = asdict(self.sample) if self.sample else None
        return {**self.record.to_dict(), "users": self.users, "sample": sample}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Stage:
        """Return the stage that `to_dict` made; KeyError or TypeError where it did not."""
        sample = Logins(**data["sample"]) if data["sample"] else None
        return cls(HopRecord.from_dict(data), int(data["users"]), sample)


@dataclass(frozen=True)
class Odyssey:
    """The whole way so far. ``reason`` says why it stopped, and what to do.

    ``set_aside`` are the hops that were red; the way went on from there once the cause was mended.
    """

    began: str
    command: str
    machine: Machine
    planned: int
    stages: list[Stage] = field(default_factory=list)
    set_aside: list[Stage] = field(default_factory=list)
    final: Logins | None = None
    tables: VersionTables = field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0
    start_bytes: int = 0
    peak_bytes: int = 0

    @property
    def records(self) -> list[HopRecord]:
        """Return the hops' records."""
        return [stage.record for stage in self.stages]

    @property
    def everything(self) -> list[HopRecord]:
        """Return the records of all attempts: no request of any of them is left out."""
        return [stage.record for stage in [*self.stages, *self.set_aside]]

    @property
    def requests(self) -> int:
        """Return the requests of all attempts at all hops."""
        return sum(record.requests for record in self.everything)

    @property
    def failures(self) -> int | None:
        """Return the failed requests of all attempts; None where one of them did not measure."""
        counts = [record.failures for record in self.everything]
        return None if not counts or None in counts else sum(count or 0 for count in counts)

    def attempts(self, key: str) -> int:
        """Return how many attempts at a hop were set aside."""
        return sum(stage.record.key == key for stage in self.set_aside)

    @property
    def ok(self) -> bool:
        """Return whether the whole way was gone, and all of it holds."""
        return (
            not self.reason
            and len(self.stages) == self.planned
            and all(record.state == "green" for record in self.records)
            and self.failures == 0
            and self.final is not None
            and self.final.ok
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            **asdict(self),
            "stages": [stage.to_dict() for stage in self.stages],
            "set_aside": [stage.to_dict() for stage in self.set_aside],
            "requests": self.requests,
            "failures": self.failures,
            "ok": self.ok,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Odyssey:
        """Return the way that `to_dict` made; KeyError or TypeError where it did not."""
        plain = [
            "began", "command", "planned", "tables", "reason", "seconds", "start_bytes",
            "peak_bytes",
        ]  # fmt: skip
        return cls(
            **{name: data[name] for name in plain},
            machine=Machine(**data["machine"]),
            stages=[Stage.from_dict(each) for each in data["stages"]],
            set_aside=[Stage.from_dict(each) for each in data.get("set_aside", [])],
            final=Logins(**data["final"]) if data["final"] else None,
        )

    def write(self, data: Path) -> None:
        """Write the JSON, and the page beside it."""
        write_whole(data, json.dumps(self.to_dict(), indent=1) + "\n")
        write_whole(data.with_suffix(".md"), self.markdown())

    def markdown(self) -> str:
        """Return the page."""
        parts = [OPENING, f"{self.verdict()}\n", summary_table(self.records)]
        if self.reason:
            parts += ["## Why it stopped\n", quote(self.reason)]
        reasons = evidence(self.records)
        if reasons:
            parts += ["## Why some are not green\n", reasons]
        if self.set_aside:
            parts += ["## Red at first\n", SET_ASIDE]
            parts.append(evidence([stage.record for stage in self.set_aside]))
        parts += ["## Users\n", users_table(self.stages)]
        if self.final is not None:
            parts.append(final_logins(self.final))
        parts += ["## Schema\n", tables_table(self.records)]
        parts += ["## Latency and time\n", measurements_table(self.records)]
        parts += ["## How it was measured\n", self._how()]
        return "\n".join(parts)

    def verdict(self) -> str:
        """Return the outcome in one line."""
        gone = f"{len(self.stages)} of {self.planned} hops"
        requests = f"{number(self.failures)} of {number(self.requests)} requests failed"
        if self.final is None:
            state = "not at its end" if not self.reason else "**stopped**"
            return f"{gone}, {state}: {requests}."
        users = f"{number(self.final.authenticated)} of {number(self.final.asked)} users log in"
        return f"{'green' if self.ok else '**RED**'}: {gone}, {requests}, {users}."

    def _how(self) -> str:
        machine = f"{self.machine.cores} cores, {gibibytes(self.machine.memory_bytes)}"
        peak = f"{gibibytes(self.peak_bytes)} above {gibibytes(self.start_bytes)} at its start"
        row = [self.began, f"`{self.command}`", duration(self.seconds), machine, peak]
        header = ("began (UTC)", "command", "took ", "machine", "peak of used memory")
        return table(header, [row])


def users_table(stages: Sequence[Stage]) -> str:
    """Return how many users were known after each hop, and how many of a sample could log in."""
    rows = [
        [
            stage.record.title,
            number(stage.users),
            f"{stage.sample.authenticated} of {stage.sample.asked}" if stage.sample else "",
        ]
        for stage in stages
    ]
    return table(("after", "users so far ", "of a sample log in "), rows)


def final_logins(logins: Logins) -> str:
    """Return what became of logging in as everyone."""
    rows = [
        [origin, number(count), number(could)]
        for origin, (could, count) in logins.by_origin.items()
    ]
    rows.append(["all", number(logins.asked), number(logins.authenticated)])
    text = f"At the end, everyone:\n\n{table(('made by', 'users ', 'log in '), rows)}"
    if logins.unable:
        text += f"\nWho cannot:\n\n{quote(chr(10).join(logins.unable))}"
    return text


def tables_table(records: Sequence[HopRecord]) -> str:
    """Return both version tables as they stood after each hop, row by row."""
    rows = [
        [record.title, schema_change(record), version_tables(record.schema.tables_after)]
        for record in records
    ]
    if records:
        before = version_tables(records[0].schema.tables_before)
        rows.insert(0, [f"before {records[0].title}", "", before])
    return table(("after", "schema change", "rows of the version tables"), rows)
