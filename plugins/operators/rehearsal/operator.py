"""Give every step of a rehearsal a record of its own."""

from __future__ import annotations

from typing import Any

from operators.lock_control import ReleaseLockOperator, TakeLockOperator
from operators.rollout_operator import RolloutOperator


def rehearsal_id(context: Any) -> str:
    """Return the name of a rehearsal, also for the lock.

    Runs of two clouds' schedules that fire together have one run id, so it is not enough.
    """
    return f"rehearsal__{context['params']['cloud']}__{context['run_id']}"


class RehearsalOperator(RolloutOperator):
    """One step of a rehearsal, recorded in the rehearsal's name; see RolloutOperator."""

    def execute(self, context: Any) -> Any:
        """Record the step under the rehearsal's name."""
        return super().execute({**context, "run_id": rehearsal_id(context)})


class TakeRehearsalLockOperator(RehearsalOperator, TakeLockOperator):
    """The cloud's lock while it is reset, so that no running upgrade loses its cloud."""


class ReleaseRehearsalLockOperator(RehearsalOperator, ReleaseLockOperator):
    """The release of the lock for the upgrade; a reset may have dropped it already."""
