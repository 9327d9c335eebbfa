"""Take the cloud's lock before anything is changed, and release it in every case."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.run.events import LockChanged, LockState
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.procedures.run.end import (
    InterruptedRun,
    release_lock,
    remove_leftovers,
    stop_forgotten_loads,
)
from keystone_rollout.procedures.run.lost_run import unknown_of
from keystone_rollout.procedures.run.outcome import tell_started
from keystone_rollout.procedures.run.resume import hold_lock
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rollout_operator import RolloutOperator


class TakeLockOperator(RolloutOperator):
    """The taking of the lock; after a deliberate break it cleans up after the dead run."""

    def run_step(self, run: RolloutRun, context: Any) -> str:
        """Return the former holder of the lock, or an empty text; fail if another run holds it."""
        broken = hold_lock(run, "upgrade lock")
        try:
            dead = self._clean_up(run, broken)
            tell_started(run, str(context["ti"].dag_id), dead)
        except BaseException:
            # A setup that fails has no teardown: nobody else would release the lock.
            run.lock.release()
            raise
        return dead

    def _clean_up(self, run: RolloutRun, broken: LockHolder | None) -> str:
        dead, done = "", []
        if broken:
            dead = broken.run_id
            self.log.warning("The lock of run %s was broken deliberately", dead)
            interrupted = InterruptedRun(run, dead, broken.token)
            done = interrupted.clean_up()
            if interrupted.directory is None:
                done += unknown_of(run, broken)
        done += stop_forgotten_loads(run)
        done += [f"removed {path}, which a killed run left unfinished"
                 for path in remove_leftovers(run)]  # fmt: skip
        # A killed task leaves its container at work; nothing may start beside it.
        done.append(run.engine.container.wait_for_earlier())
        for text in done:
            self.log.info(text)
        taken = LockChanged(state=LockState.TAKEN)
        run.directory.record(
            LockChanged(state=LockState.BROKEN, of=dead, done=done) if dead else taken
        )
        return dead


class ReleaseLockOperator(RolloutOperator):
    """The release of the lock, in a good run and in a bad one."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Release the lock, or log its present holder."""
        if release_lock(run):
            return
        holder = run.lock.holder()
        self.log.info("The lock was not this run's: %s", holder or "it is free")
