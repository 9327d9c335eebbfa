"""Make records of hops from the record of a real run, as the lab would."""

from __future__ import annotations

from typing import Any

from lab.campaigns.hop_list import ReleasePair, all_hops
from lab.campaigns.hop_record import Ground, HopRecord, Schema, measured, not_run
from tests.unit import record_example

BEGAN = "2026-03-01 10:00:00"
RUN = "2026-03-01 09:58:00"
GROUND = Ground("2.7", "2.7", "bullseye")
QUEENS = {"migrate_version": ["keystone 109", "keystone_contract 44"]}
PIKE = {"migrate_version": ["keystone 109", "keystone_contract 24"]}


def pair(key: str = "12-13") -> ReleasePair:
    """Return one hop of the catalogue."""
    return next(each for each in all_hops() if each.key == key)


def record(
    key: str = "12-13",
    report: dict[str, Any] | None = None,
    failed: tuple[str, ...] = (),
    ground: Ground = GROUND,
    run: str = RUN,
) -> HopRecord:
    """Return the record of a hop whose upgrade ran."""
    return measured(
        pair(key),
        ground,
        record_example.succeeded() if report is None else report,
        failed,
        Schema(PIKE, QUEENS, 0, 0),
        began=BEGAN,
        run=run,
        lab_seconds=61.04,
        upgrade_seconds=214.26,
    )


def unobtainable(key: str = "10-11", run: str = RUN) -> HopRecord:
    """Return the record of a hop whose releases this machine does not have."""
    reason = "keystone 10.0.3 is not on PyPI\nset KEYSTONE_DIST"
    return not_run(pair(key), GROUND, reason, began=BEGAN, run=run, lacks_sources=True)
