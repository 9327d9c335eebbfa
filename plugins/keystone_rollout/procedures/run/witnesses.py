"""The witnesses of a run: the load, and the global variables that an upgrade holds."""

from __future__ import annotations

import logging
from dataclasses import replace

from keystone_rollout.domain.run.estimate import UPGRADE
from keystone_rollout.domain.run.events import DagNamed, VariableChanged
from keystone_rollout.domain.run.systems import HeldVariable
from keystone_rollout.domain.run.witness import TAKE_UP_AGAIN, Witness
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


def run_witnesses(run: RolloutRun) -> list[Witness]:
    """Return all witnesses of a run in the order in which they begin; they end the other way."""
    return [
        FunctionCreatorsWitness(run),
        ReadCommittedWitness(run),
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
        """Start a session; a resumed run also measures a baseline for it."""
        session = self.session
        session.start()
        return session.measure_baseline(step) if step else []

    def judge(self) -> list[Verdict]:
        """Return one verdict for each question about all since the last look."""
        return self.session.judge()

    def ended(self) -> bool:
        """Tell whether the newest session was stopped, and had not died."""
        return self.session.ended_on_purpose()

    def end(self) -> str:
        """Stop the session; Locust's own HTML report stays in the run's directory."""
        ended = self.session.stop()
        return f"load: {ended.how if ended else 'no session was running'}"


class VariableWitness:
    """A global variable of the database server that an upgrade holds; a subclass names it."""

    name: str

    def __init__(self, run: RolloutRun) -> None:
        self.run = run

    @property
    def variable(self) -> HeldVariable:
        """Return the variable as the run holds it."""
        raise NotImplementedError

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
            not_held, next_step = "reset by a teardown", TAKE_UP_AGAIN
        measured = f"{verdict.measured}, {not_held}"
        return [replace(verdict, ok=False, measured=measured, next_step=next_step)]

    def ended(self) -> bool:
        """Tell whether this run has set it, and its original value is back."""
        return self._began() and self.variable.original() is None

    def end(self) -> str:
        """Reset it to its original value, also one that a killed run has left."""
        variable = self.variable
        original = variable.reset()
        value = variable.value()
        if self._began():
            self._record(value, original)
        return f"{variable.name}: {value if original is None else f'reset to {original}'}"

    def _began(self) -> bool:
        changed = self.run.directory.events(VariableChanged)
        return any(each.name == self.variable.name for each in changed)

    def _record(self, value: str, original: str | None) -> None:
        event = VariableChanged(name=self.variable.name, value=value, original=original)
        self.run.directory.record(event)


class FunctionCreatorsWitness(VariableWitness):
    """log_bin_trust_function_creators."""

    name = "log_bin_trust_function_creators"

    @property
    def variable(self) -> HeldVariable:
        return self.run.variables.function_creators


class ReadCommittedWitness(VariableWitness):
    """The server's transaction isolation."""

    name = "transaction_isolation"

    @property
    def variable(self) -> HeldVariable:
        return self.run.variables.read_committed
