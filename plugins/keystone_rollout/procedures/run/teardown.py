"""Try what ends a run again: an outage at that moment must not leave the cloud changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.run.events import Noted, TriedAgain
from keystone_rollout.procedures.run.run import RolloutRun

PAUSE_SECONDS = 5.0

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Teardown:
    """The time in which a run's end is tried again: limits.teardown_seconds from now on."""

    def __init__(self, run: RolloutRun) -> None:
        self.run = run
        self.limit = run.cloud.limits.teardown_seconds
        self.began = run.clock.elapsed()

    def do(self, what: str, act: Callable[[], Result]) -> Result:
        """Act until it succeeds, and record each try that failed.

        An AirflowFailException is an answer, and no reason to ask again. AirflowFailException says
        how often it was tried once the time is over.
        """
        tries = 1
        while True:
            try:
                result = act()
            except AirflowFailException:
                raise
            except Exception as error:
                if self._seconds() + PAUSE_SECONDS > self.limit:
                    raise AirflowFailException(self._given_up(what, tries, error)) from error
                log.warning("%s, try %d: %s", what, tries, error)
                self.run.directory.record(TriedAgain(step=what, tries=tries, reason=str(error)))
                self.run.clock.sleep(PAUSE_SECONDS)
                tries += 1
                continue
            if tries > 1:
                text = f"{what} succeeded at try {tries}, after {self._seconds():.0f} s"
                log.warning(text)
                self.run.directory.record(Noted(text=text))
            return result

    def _seconds(self) -> float:
        return self.run.clock.elapsed() - self.began

    def _given_up(self, what: str, tries: int, error: Exception) -> str:
        return (
            f"{what} failed: measured {tries} tries in {self._seconds():.0f} s, limit "
            f"limits.teardown_seconds {self.limit:g} s. The last one: {error}. What it ends may be "
            "left as it is: the variable changed, a node out, the load at work, the lock held. "
            "Next: make the database, the load balancers, the nodes and Airflow's connections "
            "answer, then clear this task, or start the upgrade again: it does all of this first"
        )
