"""What each phase will do, said the same way to plan, log and report."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.schema.forecast import Does, PhaseForecast, forecast, forecasts
from keystone_rollout.domain.schema.state import MigrationState
from keystone_rollout.domain.schema.versions import Phase
from tests.stand_ins.image_listings import alembic, legacy

NOTHING = (
    "migrate does nothing in this release: since Zed there are no data migrations, and db_sync "
    "--migrate is not run"
)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            legacy(24, 24, 24),
            [
                "expand runs 20 migrations: 025_placeholder … 044_placeholder",
                "migrate runs 20 migrations: 025_placeholder … 044_placeholder",
                "contract runs 20 migrations: 025_placeholder … 044_placeholder",
            ],
        ),
        (
            legacy(79, 79, 79, "21.0.1"),
            [f"{name} has nothing to do: the schema stands at its head 79" for name in Phase],
        ),
        (
            legacy(79, 79, 79, "22.0.2"),
            [
                "expand takes the schema over from migrate_version (79/79/79) to alembic_version, "
                "then runs 1 migration: 29e87d24a316_initial",
                NOTHING,
                "contract runs 1 migration: e25ffa003242_initial",
            ],
        ),
        (
            alembic("29.1.0", "47147121", "c88cdce8f248"),
            [
                "expand runs 2 migrations: e8725d6fa226_add_project_id_index_to_project_, "
                "742c857f1dfb_add_index_in_revocation_event",
                NOTHING,
                "contract has nothing to do: the schema stands at its head c88cdce8f248",
            ],
        ),
    ],
)
def test_every_phase_says_what_it_will_do(state: MigrationState, said: list[str]) -> None:
    found = [str(each) for each in forecasts(state)]
    assert found == said


def test_only_what_runs_calls_db_sync() -> None:
    state = alembic("29.1.0", "47147121", "c88cdce8f248")
    assert [forecast(phase, state).does for phase in Phase] == [
        Does.RUNS, Does.NOTHING_IN_THIS_RELEASE, Does.NOTHING_TO_DO,
    ]  # fmt: skip
    assert [forecast(phase, state).runs for phase in Phase] == [True, False, False]
    assert forecast(Phase.CONTRACT, state) == PhaseForecast(
        Phase.CONTRACT, Does.NOTHING_TO_DO, (),
        "contract has nothing to do: the schema stands at its head c88cdce8f248",
    )  # fmt: skip
    assert [each.name for each in forecast(Phase.EXPAND, state).pending] == [
        "e8725d6fa226_add_project_id_index_to_project_",
        "742c857f1dfb_add_index_in_revocation_event",
    ]
