"""Take up again what a teardown ended, before a cleared task goes on.

"Clear failed tasks" runs neither setup nor teardown again, so a task that is cleared finds lock,
variables and load as the teardowns left them. `procedures.run.end` ends them once more.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from keystone_rollout.domain.run.events import LockChanged, LockState, Resumed, Work
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.domain.run.witness import Witness
from keystone_rollout.procedures.run.gate import (
    judge_own_lock,
    lock_was_released,
    open_gate,
    require,
)
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.witnesses import run_witnesses

log = logging.getLogger(__name__)
LOCK = "upgrade lock"


def proceed(run: RolloutRun, gate: str, witnesses: Sequence[Witness] | None = None) -> None:
    """Begin a step that changes the cloud: take up again what a teardown ended, then judge.

    :param witnesses: what the step stands on beside the lock; by default all of the run's
    """
    asked = run_witnesses(run) if witnesses is None else witnesses
    resume(run, gate, asked)
    open_gate(run, gate, asked)


def resume(run: RolloutRun, step: str, witnesses: Sequence[Witness]) -> None:
    """Take the lock and begin the witnesses again, each only if it was ended on purpose.

    Nothing to do in a run that no teardown has ended: then only the lock's heartbeat is renewed.
    Raises GateClosed if another run has the lock, or if the cloud does not serve the load well
    enough in mid-upgrade.
    """
    with run.directory.alone():
        released = lock_was_released(run)
        ended = [witness for witness in witnesses if witness.ended()]
        if not released and not ended:
            run.lock.keep_alive()
            return
        with run.step("resume", Work.RESUME):
            _take_again(run, step, released)
            names = [LOCK] * released + [witness.name for witness in ended]
            # Written first: whatever fails from here on, the run's end knows what to end.
            run.directory.record(Resumed(step=step, what=names))
            log.warning("Resumed %s, taken up again: %s", step, ", ".join(names))
            verdicts = [verdict for witness in ended for verdict in witness.begin(step)]
            if verdicts:
                require(run, f"resumed {step}", verdicts)


def _take_again(run: RolloutRun, step: str, released: bool) -> None:
    """Have the lock before anything is begun; one that a teardown did not give back is lost."""
    if released:
        hold_lock(run, step)
        run.directory.record(LockChanged(state=LockState.TAKEN))
        return
    verdict = judge_own_lock(run)
    if not verdict.ok:
        require(run, step, [verdict])
    run.lock.keep_alive()


def hold_lock(run: RolloutRun, gate: str) -> LockHolder | None:
    """Take the cloud's lock, or raise GateClosed; return the run it was broken from."""
    verdict, broken = run.lock.take()
    if not verdict.ok:
        require(run, gate, [verdict])
    run.lock.keep_alive()
    return broken
