"""Make rows of campaigns from the record of a real run, as the lab would."""

from __future__ import annotations

from typing import Any

from lab.campaigns.pairs import ReleasePair, all_hops
from lab.campaigns.rehearsals import measured, new_row
from lab.campaigns.row import Command, Row
from lab.data.known_users import Logins
from tests.stand_ins import record_example

BEGAN = "2026-03-01 10:00:00"
RUN = "2026-03-01 09:58:00"
QUEENS = {"migrate_version": ["keystone 109", "keystone_contract 44"]}
PIKE = {"migrate_version": ["keystone 109", "keystone_contract 24"]}
GIB = 1024**3
COMMAND = Command(
    began=RUN, typed="make hops HOPS=12-13", cores=2, memory_bytes=8 * GIB, start_bytes=GIB,
    seconds=330.0, peak_bytes=3 * GIB,
)  # fmt: skip
SAMPLED = Logins(50, 50, {"lab": (48, 48), "load": (2, 2)}, [])


def pair(key: str = "12-13") -> ReleasePair:
    """Return one hop of the catalogue."""
    return next(each for each in all_hops() if each.key == key)


def ready(key: str = "12-13", **changes: Any) -> Row:
    """Return the row of a hop for which the lab is ready."""
    row = new_row(pair(key), RUN)
    source, target = (
        side.model_copy(update={"python": "2.7"}) for side in (row.source, row.target)
    )
    return row.updated(
        source=source, target=target, suite="bullseye", began=BEGAN, lab_seconds=61.0,
        tables_before=PIKE, tables_after=QUEENS, triggers_before=0, triggers_after=0, **changes,
    )  # fmt: skip


def record(
    key: str = "12-13",
    report: dict[str, Any] | None = None,
    failed: tuple[str, ...] = (),
    **changes: Any,
) -> Row:
    """Return the row of a hop whose upgrade ran."""
    found = record_example.succeeded() if report is None else report
    return measured(ready(key), found, [*failed], 214.26).updated(**changes)


def unobtainable(key: str = "10-11") -> Row:
    """Return the row of a hop whose releases this machine does not have."""
    reason = "keystone 10.0.3 is not on PyPI\nset KEYSTONE_DIST"
    return new_row(pair(key), RUN).updated(reason=reason, began=BEGAN, lacks_sources=True)
