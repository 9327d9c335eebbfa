"""Nothing moves without a phrase that names the backup and bounds the loss."""

from __future__ import annotations

from typing import Any

import pytest

from keystone_rollout.domain.recovery.confirmation import (
    agreed_bound,
    objection,
    phrase,
    proposed_bound,
    refusal,
)
from keystone_rollout.domain.run.events import RestoreChanged
from keystone_rollout.domain.schema.difference import Difference, TableDifference

BACKUP = "manual__2026-03-01T10_00_00.sql"


@pytest.mark.parametrize(
    ("total", "bound"), [(0, 100), (1, 200), (100, 200), (950, 1100), (12345, 13600)]
)
def test_the_proposed_bound_leaves_room_for_a_cloud_in_use(total: int, bound: int) -> None:
    assert proposed_bound(total) == bound


def test_the_phrase_is_read_back() -> None:
    said = phrase(BACKUP, 200)
    assert said == f"restore {BACKUP}, losing at most 200 writes"
    assert agreed_bound(f" {said}\n", BACKUP) == 200
    assert objection(said, BACKUP, 200) is None


@pytest.mark.parametrize(
    "said",
    [
        "yes",
        f"restore {BACKUP}",
        f"restore {BACKUP}, losing at most many writes",
        f"restore {BACKUP}, losing at most -1 writes",
        f"restore other.sql, losing at most 200 writes; restore {BACKUP}",
        f"restore {BACKUP.replace('.', 'x')}, losing at most 200 writes",
    ],
)
def test_anything_else_is_no_agreement(said: str) -> None:
    assert agreed_bound(said, BACKUP) is None
    assert objection(said, BACKUP, 0) == (
        f"param confirm says {said!r}, which does not name {BACKUP} and how much may be lost"
    )


def test_an_empty_confirmation_and_a_greater_loss_are_refused() -> None:
    assert objection("  ", BACKUP, 0) == "param confirm is empty"
    assert objection(phrase(BACKUP, 199), BACKUP, 200) == (
        "200 writes would be lost, param confirm allows 199"
    )


def section(**fields: Any) -> RestoreChanged:
    planned = Difference(
        (
            TableDifference("user", lost=40, changed=2),
            TableDifference("token", lost=3, by_key=False),
        )
    )
    usual = {"planned": planned, "last_downtime": [48.2, 61.0], "hint": "",
             "swap_needed": True}  # fmt: skip
    return RestoreChanged(
        backup=BACKUP, taken=1772359200.0, age_seconds=7500.0, **{**usual, **fields}
    )


def test_the_refusal_says_all_one_has_to_know_and_ends_with_the_phrase() -> None:
    assert refusal("param confirm is empty", section(), "12.0.3 (Pike)") == (
        "param confirm is empty. Nothing was touched. Restoring 12.0.3 (Pike) from backup "
        f"{BACKUP}, taken 2026-03-01 10:00:00 UTC (2 h 5 min ago), undoes 45 writes since the "
        "backup: 43 new rows lost, 0 deleted rows back, 2 rows changed back. By table: user: 40 "
        "lost, 2 changed back; token: 3 lost, no common primary key, only row counts compared. "
        "Tables compared by their number of rows only, for lack of a common primary key: 1. Nobody "
        "is served meanwhile; the last time it took 48 s until the first server served, 1 min 1 s "
        "until all did. Next: to do it, start keystone_restore again with param confirm: restore "
        f"{BACKUP}, losing at most 200 writes"
    )


def test_the_refusal_admits_what_is_not_known_and_names_the_better_way() -> None:
    text = refusal("no", section(last_downtime=None, hint="Use keystone_rollback"), "12.0.3 (Pike)")
    assert "Nobody is served meanwhile; for how long was never measured here. " in text
    assert "measured here. Use keystone_rollback. Next: " in text


def test_the_refusal_says_when_the_schema_stays() -> None:
    text = refusal("no", section(planned=Difference(), swap_needed=False), "12.0.3 (Pike)")
    assert "The schema already stands where the backup does and stays as it is" in text
    assert "By table" not in text
    assert text.endswith("losing at most 100 writes")


def test_many_tables_are_cut_short() -> None:
    planned = [TableDifference(f"t{number}", lost=1) for number in range(10, 21)]
    text = refusal("no", section(planned=Difference(tuple(planned))), "12.0.3")
    assert "t17: 1 lost; and 3 more tables. " in text
