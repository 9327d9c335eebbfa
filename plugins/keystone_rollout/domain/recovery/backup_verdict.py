"""Judge a backup: is what was restored what was there when it was dumped?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keystone_rollout.domain.verdict import Verdict


@dataclass(frozen=True)
class TableState:
    """Hold the fingerprint of one table: CHECKSUM TABLE and its number of rows."""

    checksum: int
    rows: int


Tables = Mapping[str, TableState]


def judge_backup(before: Tables, after: Tables, restored: Tables, path: str) -> Verdict:
    """Compare a restored dump with the live tables measured before and after dumping.

    A table that did not change meanwhile has to be identical. One that clients wrote to can only
    be compared loosely: it may not be empty where the live one never was.
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
