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
    """Run one step of a rehearsal in the rehearsal's name; see RolloutOperator."""

    def execute(self, context: Any) -> Any:
        """Record the step under the rehearsal's name."""
        return super().execute({**context, "run_id": rehearsal_id(context)})


class TakeRehearsalLockOperator(RehearsalOperator, TakeLockOperator):
    """Have the cloud's lock while it is reset: nothing is taken away from a running upgrade."""


class ReleaseRehearsalLockOperator(RehearsalOperator, ReleaseLockOperator):
    """Give the lock back, for the upgrade to take; a reset may have taken it away already."""
