"""Take the cloud's lock before anything is changed, and give it back whatever happens."""

from __future__ import annotations

from typing import Any

from hooks.gate import hold_lock
from hooks.interrupted_run import InterruptedRun
from hooks.rollout_run import RolloutRun
from operators.rollout_operator import RolloutOperator


class TakeLockOperator(RolloutOperator):
    """Take the lock; after a deliberate break, clean up what the dead run left behind."""

    def run_step(self, run: RolloutRun, context: Any) -> str:
        """Return who held the lock before, or an empty text; fail where another run holds it."""
        broken = hold_lock(run, "upgrade lock")
        if broken is None:
            run.directory.record("lock", state="taken")
            return ""
        self.log.warning("The lock was broken: %s", broken)
        try:
            done = self._clean_up(run, broken.run_id)
        except BaseException:
            # A setup that fails has no teardown: nobody else would release the lock.
            run.lock.release()
            raise
        run.directory.record("lock", state="broken", of=broken.run_id, done=done)
        return broken.run_id

    def _clean_up(self, run: RolloutRun, dead: str) -> list[str]:
        done = InterruptedRun(dead).clean_up()
        for text in done:
            self.log.info("Run %s: %s", dead, text)
        return done


class ReleaseLockOperator(RolloutOperator):
    """Give the lock back, however the run went."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Release, or say whose it is by now."""
        if run.lock.release():
            run.directory.record("lock", state="released")
            return
        holder = run.lock.holder()
        self.log.info("The lock was not this run's: %s", holder or "it is free")
