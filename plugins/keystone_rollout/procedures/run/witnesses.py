"""The witnesses of a run: the load, and the global variables that an upgrade holds."""

from __future__ import annotations

import logging
from dataclasses import replace

from keystone_rollout.domain.run.estimate import UPGRADE
from keystone_rollout.domain.run.events import DagNamed, VariableChanged
from keystone_rollout.domain.run.witness import TAKE_UP_AGAIN, Witness
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.variables import FunctionCreators, ReadCommitted, SavedVariable
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


def run_witnesses(run: RolloutRun) -> list[Witness]:
    """Return all witnesses of a run in the order in which they begin; they end the other way."""
    return [
        VariableWitness(run, FunctionCreators),
        VariableWitness(run, ReadCommitted),
        LoadWitness(run),
    ]


class LoadWitness:
    """The load: requests of its own, from before the first change until after the last."""

    name = "load"

    def __init__(self, run: RolloutRun) -> None:
        self.run = run

    @property
    def session(self) -> LoadSession:
        """Return the newest session; another task may have begun it since the last look."""
        return LoadSession(self.run)

    def begin(self, step: str = "") -> list[Verdict]:
        """Start a session; a resumed run also needs a baseline for it."""
        session = self.session
        session.start()
        return session.measure_baseline(step) if step else []

    def judge(self) -> list[Verdict]:
        """Judge all since the last look."""
        return self.session.judge()

    def ended(self) -> bool:
        """Tell whether the newest session was stopped, and had not died."""
        return self.session.ended_on_purpose()

    def end(self) -> str:
        """Stop the session; Locust's own HTML report stays in the run's directory."""
        ended = self.session.stop()
        return f"load: {ended.how if ended else 'no session was running'}"


class VariableWitness:
    """A global variable of the database server that an upgrade holds (hooks.database.variables)."""

    def __init__(self, run: RolloutRun, kind: type[SavedVariable]) -> None:
        self.run = run
        self.variable = kind(run.cloud)
        self.name = kind.names[0]

    def begin(self, step: str = "") -> list[Verdict]:
        """Save the original value in the database, then set the variable, if it is needed."""
        variable = self.variable
        name = variable.name
        if not variable.needed:
            log.info("%s stays at %s: this upgrade needs no other", name, variable.value())
            return []
        original = variable.set(self.run.directory.run_id)
        self._record(variable.wanted, original)
        log.info("%s: %s → %s", name, original, variable.wanted)
        return []

    def judge(self) -> list[Verdict]:
        """Judge its value, and whether its original is kept: then it is this upgrade's to hold."""
        dag = self.run.directory.last(DagNamed)
        if not self.variable.needed or (dag is not None and dag.dag != UPGRADE):
            return []
        verdict = self.variable.judge()
        if self.variable.original() is not None:
            return [verdict]
        not_held = "not set in this run"
        next_step = "clear the task that sets it, then this one"
        if self._began():
            not_held, next_step = "restored by a teardown", TAKE_UP_AGAIN
        measured = f"{verdict.measured}, {not_held}"
        return [replace(verdict, ok=False, measured=measured, next_step=next_step)]

    def ended(self) -> bool:
        """Tell whether this run has set it, and its original value was restored."""
        return self._began() and self.variable.original() is None

    def end(self) -> str:
        """Restore the original value, also one that a killed run has left."""
        variable = self.variable
        original = variable.restore()
        value = variable.value()
        if self._began():
            self._record(value, original)
        return f"{variable.name}: {value if original is None else f'back at {original}'}"

    def _began(self) -> bool:
        names = self.variable.names
        return any(each.name in names for each in self.run.directory.events(VariableChanged))

    def _record(self, value: str, original: str | None) -> None:
        event = VariableChanged(name=self.variable.name, value=value, original=original)
        self.run.directory.record(event)
