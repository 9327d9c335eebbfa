"""Take the cloud's lock before anything is changed, and give it back whatever happens."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.run.events import LockChanged, LockState
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.hooks.docker.container import PhaseContainer
from keystone_rollout.procedures.run.end import InterruptedRun, remove_leftovers
from keystone_rollout.procedures.run.gate import hold_lock
from keystone_rollout.procedures.run.outcome import tell_started
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rollout_operator import RolloutOperator


class TakeLockOperator(RolloutOperator):
    """Take the lock; after a deliberate break, clean up what the dead run left behind."""

    def run_step(self, run: RolloutRun, context: Any) -> str:
        """Return who held the lock before, or an empty text; fail where another run holds it."""
        broken = hold_lock(run, "upgrade lock")
        try:
            dead = self._settle(run, broken)
            tell_started(run, str(context["ti"].dag_id), dead)
        except BaseException:
            # A setup that fails has no teardown: nobody else would release the lock.
            run.lock.release()
            raise
        return dead

    def _settle(self, run: RolloutRun, broken: LockHolder | None) -> str:
        dead, done = "", []
        if broken:
            dead = broken.run_id
            self.log.warning("The lock of run %s was broken deliberately", dead)
            done = InterruptedRun(dead, broken.token).clean_up()
        done += [f"removed {path}, which a killed run left unfinished"
                 for path in remove_leftovers(run.cloud)]  # fmt: skip
        # A killed task leaves its container at work; nothing may start beside it.
        done.append(PhaseContainer(run.cloud).settle_earlier())
        for text in done:
            self.log.info(text)
        taken = LockChanged(state=LockState.TAKEN)
        run.directory.record(
            LockChanged(state=LockState.BROKEN, of=dead, done=done) if dead else taken
        )
        return dead


class ReleaseLockOperator(RolloutOperator):
    """Give the lock back, however the run went."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Release, or say whose it is by now."""
        if run.lock.release():
            run.directory.record(LockChanged(state=LockState.RELEASED))
            return
        holder = run.lock.holder()
        self.log.info("The lock was not this run's: %s", holder or "it is free")
