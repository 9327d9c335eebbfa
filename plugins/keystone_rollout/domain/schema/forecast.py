"""Forecast the effect of a phase on a schema: data, with one sentence for plan, log and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from keystone_rollout.domain.schema.migrations import Migration
from keystone_rollout.domain.schema.state import MigrationState
from keystone_rollout.domain.schema.versions import Phase

NAMED_AT_MOST = 4
"""Migrations that a sentence names one by one; of more it names the first and the last."""


class Does(StrEnum):
    """The effect of a phase: it runs, finds nothing to do, or does nothing in this release."""

    RUNS = "runs"
    NOTHING_TO_DO = "nothing to do"
    NOTHING_IN_THIS_RELEASE = "nothing in this release"


@dataclass(frozen=True)
class PhaseForecast:
    """The effect of one phase, the migrations that it runs, and the sentence that says so.

    Whether the phase may start is another question: `migration_state.blocked_by`.
    """

    phase: Phase
    does: Does
    pending: tuple[Migration, ...]
    sentence: str

    @property
    def runs(self) -> bool:
        """Tell whether `db_sync` has to be called at all."""
        return self.does is Does.RUNS

    def __str__(self) -> str:
        return self.sentence


def forecast(phase: Phase, state: MigrationState) -> PhaseForecast:
    """Return the effect of a phase once its predecessors are done."""
    name = phase.value
    if not state.image.has(phase):
        return PhaseForecast(
            phase, Does.NOTHING_IN_THIS_RELEASE, (),
            f"{name} does nothing in this release: since Zed there are no data migrations, and "
            f"db_sync --{name} is not run",
        )  # fmt: skip
    if state.is_done(phase):
        return PhaseForecast(
            phase, Does.NOTHING_TO_DO, (),
            f"{name} has nothing to do: the schema stands at its head {state.head(phase)}",
        )  # fmt: skip
    pending = state.pending(phase)
    taken = (
        f"takes the schema over from migrate_version ({state.recorded}) to alembic_version, then "
        if state.takes_over and phase is Phase.EXPAND
        else ""
    )
    return PhaseForecast(phase, Does.RUNS, pending, f"{name} {taken}runs {in_words(pending)}")


def forecasts(state: MigrationState) -> list[PhaseForecast]:
    """Return the effects of the three phases, in their order."""
    return [forecast(phase, state) for phase in Phase]


def in_words(migrations: Sequence[Migration]) -> str:
    """Count migrations and name them, or the first and the last of many."""
    names = [each.name for each in migrations]
    shown = names if len(names) <= NAMED_AT_MOST else [f"{names[0]} … {names[-1]}"]
    return f"{len(names)} migration{'s' if len(names) != 1 else ''}: {', '.join(shown)}"
