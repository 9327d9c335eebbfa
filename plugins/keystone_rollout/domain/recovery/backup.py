"""The facts about a verified backup, and whether its content is that of the dumped schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from keystone_rollout.domain.node.release_report import NodeReport, RunningRelease
from keystone_rollout.domain.verdict import Verdict


def _from_words(data: object) -> object:
    """Read one node of a description of 0.1.0, which has it in words, such as "12.0.3 running"."""
    if not isinstance(data, str):
        return data
    running = re.fullmatch(r"(\S+) running", data)
    return NodeReport(RunningRelease(running[1], True) if running else None, data)


@dataclass(frozen=True)
class BackupFacts:
    """A backup that was verified by restoring it."""

    cloud: str
    schema: str
    taken: float
    """The time at which its snapshot began, in epoch seconds."""
    nodes: Mapping[str, Annotated[NodeReport, BeforeValidator(_from_words)]]
    """The release that each node ran at that time."""

    def served_by(self, release: str) -> bool:
        """Tell whether a node of this release served from this very schema.

        A backup that was made after contract holds the new schema, which the old release cannot
        use.
        """
        return any(report.serves(release) for report in self.nodes.values())

    @property
    def nodes_in_words(self) -> str:
        """Return the releases that ran at that time, each once."""
        return ", ".join(sorted({str(each) for each in self.nodes.values()})) or "nothing known"


_FACTS = TypeAdapter(BackupFacts)


def read_facts(text: str) -> BackupFacts:
    """Read the file beside a backup; ValueError says what is expected, and quotes nothing of it."""
    try:
        return _FACTS.validate_json(text)
    except ValidationError:
        raise ValueError("expected are cloud, schema, taken and nodes") from None


@dataclass(frozen=True)
class TableState:
    """The fingerprint of one table: CHECKSUM TABLE and its number of rows."""

    checksum: int
    rows: int


Tables = Mapping[str, TableState]


def judge_backup(before: Tables, after: Tables, restored: Tables, path: str) -> Verdict:
    """Compare a restored dump with the live tables measured before and after dumping.

    A table that did not change meanwhile has to be identical. One that clients wrote to can only be
    compared loosely: it must not be empty if the live one never was.
    """
    still = [name for name in before if before[name] == after.get(name)]
    differing = [name for name in still if restored.get(name) != before[name]]
    missing = sorted(set(before) - set(restored))
    emptied = [
        name
        for name in before
        if name not in still
        and name in restored
        and restored[name].rows == 0
        and min(before[name].rows, after.get(name, before[name]).rows) > 0
    ]
    wrong = sorted({*differing, *missing, *emptied})
    rows = sum(state.rows for state in restored.values())
    measured = (
        f"{len(restored)} tables with {rows} rows restored from {path}, {len(still)} identical to "
        f"the live ones, {len(before) - len(still)} written to meanwhile"
    )
    if wrong:
        measured += f"; wrong: {', '.join(wrong)}"
    if not before:
        measured = "the schema has no tables"
    return Verdict(
        ok=bool(before) and not wrong,
        check="backup",
        object=path,
        measured=measured,
        limit="every table restored, unchanged ones identical",
        consequence="there is no way back after contract, so no phase is started",
        next_step="look at the dump and at the scratch database's server, then clear this task",
    )
