"""What a run records comes back with its types."""

from __future__ import annotations

import json

import pytest

from keystone_rollout.domain.run.events import (
    Event,
    Planned,
    RecordUnreadable,
    RestoreChanged,
    read_event,
)
from keystone_rollout.domain.schema.difference import Difference, TableDifference
from keystone_rollout.domain.schema.forecast import forecasts
from keystone_rollout.domain.schema.state import MigrationState
from tests.stand_ins.image_listings import image_of, numbers


def recorded(event: Event) -> Event:
    return read_event(json.loads(json.dumps(event.to_dict())))


@pytest.mark.parametrize("release", ["13.0.4", "22.0.2", "29.1.0"])
def test_a_plan_comes_back_with_its_migrations(release: str) -> None:
    image = image_of(release)
    state = MigrationState(numbers(79, 79, 79), image)
    plan = Planned(
        migrations=image,
        heads=image.heads(),
        recorded=state.recorded,
        state=state.by_phase(),
        phases=forecasts(state),
    )
    assert recorded(plan) == plan


def test_a_restore_comes_back_with_its_loss() -> None:
    lost = Difference((TableDifference("user", lost=2), TableDifference("x", by_key=False)))
    event = RestoreChanged(backup_versions=numbers(24, 24, 24), planned=lost, lost=Difference())
    assert recorded(event) == event


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"planned": {"tables": [{"lost": 1}]}}, "event restore: planned.tables.0.table: "),
        ({"lost": [{"table": "user"}]}, "event restore: lost: "),
        ({"backup_versions": {"repositories": {"keystone": "new"}}}, "event restore: backup_ver"),
    ],
)
def test_anything_else_is_refused_with_its_place(fields: dict[str, object], said: str) -> None:
    with pytest.raises(RecordUnreadable, match=said):
        read_event({"kind": "restore", **fields})
