"""What a restore lost and how long it took is read from events, and judged in words."""

from __future__ import annotations

from typing import Any

import pytest

from keystone_rollout.domain.recovery.restore import (
    downtime_in_words,
    judge_caches,
    judge_loss,
    judge_versions,
    judge_writers,
    restore_section,
)
from keystone_rollout.domain.run.events import RestoreChanged
from keystone_rollout.domain.schema.difference import Difference, TableDifference
from tests.stand_ins.image_listings import numbers

LOST = Difference((TableDifference("user", lost=1),))


def test_later_events_win_and_a_run_that_is_no_restore_has_no_section() -> None:
    assert restore_section([]) is None
    events = [
        RestoreChanged(t=1, backup="a.sql", lost=Difference()),
        RestoreChanged(t=2, served=5.0, lost=LOST),
    ]
    assert restore_section(events) == RestoreChanged(t=2, backup="a.sql", served=5.0, lost=LOST)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, "no server was taken out"),
        ({"began": 10.0}, "no server serves again yet"),
        (
            {"began": 10.0, "served": 58.2, "ended": None},
            "48 s until the first server served; not all of them serve yet",
        ),
        (
            {"began": 10.0, "served": 58.2, "ended": 75.0},
            "48 s until the first server served, 1 min 5 s until all did",
        ),
    ],
)
def test_the_downtime_is_said_as_far_as_it_is_known(section: dict[str, Any], words: str) -> None:
    assert downtime_in_words(RestoreChanged(**section)) == words


def test_any_writer_closes_the_gate_and_is_named() -> None:
    assert judge_writers("keystone", []).measured == "0 sessions"
    assert judge_writers("keystone", []).ok
    verdict = judge_writers("keystone", [f"session {n} of nova from 192.0.2.1" for n in range(7)])
    assert not verdict.ok
    assert verdict.measured.startswith("session 0 of nova from 192.0.2.1; session 1 of ")
    assert verdict.measured.endswith("; 2 more")
    assert str(verdict).endswith(
        "limit 0 sessions in the schema, the reader's apart. Consequence: no table was moved; "
        "settle_servers starts everything again as it was. Next: find out who that is and stop "
        "it, then start keystone_restore again"
    )


def test_no_more_is_lost_than_agreed() -> None:
    lost = Difference((TableDifference("user", lost=201),))
    assert judge_loss("a.sql", lost, 201).ok
    verdict = judge_loss("a.sql", lost, 200)
    assert (verdict.ok, verdict.limit) == (False, "at most 200, as param confirm says")
    assert verdict.measured.startswith("201 writes since the backup: 201 new rows lost")


def test_the_schema_has_to_stand_where_the_backup_does() -> None:
    old, new = numbers(24, 24, 24), numbers(44, 44, 44)
    assert judge_versions(old, old, "keystone").ok
    verdict = judge_versions(new, old, "keystone")
    assert (verdict.ok, verdict.measured) == (False, "44/44/44")
    assert verdict.limit == "24/24/24, as in the backup"


def test_a_cache_that_was_not_emptied_is_a_failed_check() -> None:
    assert judge_caches({}).ok
    verdict = judge_caches({"keystone-1": "memcached 192.0.2.1:11211 did not acknowledge"})
    assert (verdict.ok, verdict.measured) == (
        False,
        "memcached 192.0.2.1:11211 did not acknowledge",
    )
