"""docs/hops.json and docs/hops.md: what was measured last of each hop, replaced whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab.campaigns.hop_page import evidence, measurements_table, schema_table, summary_table
from lab.campaigns.hop_record import HopRecord
from lab.campaigns.markdown import duration, gibibytes, table, write_whole
from lab.campaigns.peak_memory import Machine
from machine.errors import CommandError

OPENING = """\
# Every hop, measured

Each row is a full rehearsal in the lab: three nodes behind HAProxy, a database with 2,000 users,
the real DAG, and load from before the first change until after the last one. Green means that every
check held, 0 failed requests first of all. `make hops` measures and writes this page; a hop that
was not run this time keeps the row it had.
"""


@dataclass(frozen=True)
class MatrixRun:
    """One command that measured hops. ``peak_bytes`` is above what was used at its start."""

    began: str
    command: str
    machine: Machine
    seconds: float = 0.0
    start_bytes: int = 0
    peak_bytes: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MatrixRun:
        """Return what `asdict` made."""
        return cls(**{**data, "machine": Machine(**data["machine"])})


class HopFile:
    """Keep the newest record of each hop, and the commands that measured them.

    :param data: the JSON; the page is beside it, with the suffix ``.md``
    :param order: keys of all hops, in the order of the page
    """

    def __init__(self, data: Path, order: Sequence[str]) -> None:
        self.data = data
        self.page = data.with_suffix(".md")
        self._order = list(order)
        self.records: dict[str, HopRecord] = {}
        self._runs: dict[str, MatrixRun] = {}
        if data.exists():
            self._read()

    def _read(self) -> None:
        try:
            content = json.loads(self.data.read_text(encoding="utf-8"))
            records = [HopRecord.from_dict(each) for each in content["hops"]]
            runs = [MatrixRun.from_dict(each) for each in content["runs"]]
        except (ValueError, KeyError, TypeError) as error:
            raise CommandError(
                f"{self.data} cannot be read ({type(error).__name__}: {error}): what was measured "
                "before would be lost, so nothing is run. Repair it or move it away"
            ) from error
        self.records = {record.key: record for record in records}
        self._runs = {run.began: run for run in runs}

    def keep(self, record: HopRecord, run: MatrixRun) -> None:
        """Take a record over, and write both files.

        Where a hop could not be run for want of its sources, an earlier measurement says more than
        that, and stays.
        """
        earlier = self.records.get(record.key)
        if not (record.lacks_sources and earlier is not None and earlier.state != "not run"):
            self.records[record.key] = record
        self.settle(run)

    def settle(self, run: MatrixRun) -> None:
        """Write both files with the present state of the command that measures."""
        self._runs[run.began] = replace(run, seconds=round(run.seconds, 1))
        content = {
            "hops": [record.to_dict() for record in self.in_order()],
            "runs": [asdict(each) for each in self.runs()],
        }
        write_whole(self.data, json.dumps(content, indent=1) + "\n")
        write_whole(self.page, self.markdown())

    def in_order(self) -> list[HopRecord]:
        """Return the records in the order of the hops; those of no present hop are left out."""
        return [self.records[key] for key in self._order if key in self.records]

    def runs(self) -> list[MatrixRun]:
        """Return the commands that a record is from, the oldest first."""
        wanted = {record.run for record in self.in_order()}
        return [self._runs[began] for began in sorted(wanted & self._runs.keys())]

    def markdown(self) -> str:
        """Return the page."""
        records = self.in_order()
        parts = [OPENING, summary_table(records)]
        reasons = evidence(records)
        if reasons:
            parts += ["## Why some are not green\n", reasons]
        parts += ["## Schema\n", schema_table(records)]
        parts += ["## Latency and time\n", measurements_table(records)]
        parts += ["## How it was measured\n", runs_table(self.runs(), records)]
        return "\n".join(parts)


def runs_table(runs: Sequence[MatrixRun], records: Sequence[HopRecord]) -> str:
    """Return which command measured what, on which machine, with how much memory."""
    rows = [
        [
            run.began,
            f"`{run.command}`",
            str(sum(record.run == run.began for record in records)),
            duration(run.seconds),
            f"{run.machine.cores} cores, {gibibytes(run.machine.memory_bytes)}",
            f"{gibibytes(run.peak_bytes)} above {gibibytes(run.start_bytes)} at its start",
        ]
        for run in runs
    ]
    header = ("began (UTC)", "command", "rows ", "took ", "machine", "peak of used memory")
    return table(header, rows)
