"""Set the database server's global variables before the phases, and reset them afterwards."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.run.events import VariableChanged
from keystone_rollout.domain.run.systems import HeldVariable
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rollout_operator import RolloutOperator


class VariableOperator(RolloutOperator):
    """Work on one variable; a subclass names it."""

    def variable(self, run: RolloutRun) -> HeldVariable:
        """Return the variable as the run holds it."""
        raise NotImplementedError


class SetVariableOperator(VariableOperator):
    """The setting of one variable as database administrator."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Save the original value in the database, then set the variable."""
        variable = self.variable(run)
        name = variable.name
        if not variable.needed:
            self.log.info("%s stays at %s: this upgrade needs no other", name, variable.value())
            return
        original = variable.set(run.directory.run_id)
        run.directory.record(VariableChanged(name=name, value=variable.wanted, original=original))
        self.log.info("%s: %s → %s", name, original, variable.wanted)


class ResetVariableOperator(VariableOperator):
    """The reset of one variable to its original value, in every run."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Reset the variable, or say that nothing was set.

        A migration that outlived its task still needs the variable, so this waits for its end; if
        that does not come in time, the variable is reset all the same.
        """
        try:
            self.log.info(run.engine.container.wait_for_earlier())
        finally:
            self._restore(run)

    def _restore(self, run: RolloutRun) -> None:
        variable = self.variable(run)
        original = variable.reset()
        name, value = variable.name, variable.value()
        if variable.needed:
            run.directory.record(VariableChanged(name=name, value=value, original=original))
        # Also where this upgrade does not need it: a killed run may have left it changed.
        self.log.info("%s: %s", name, value if original is None else f"reset to {original}")


class FunctionCreatorsOperator(VariableOperator):
    """Work on log_bin_trust_function_creators."""

    def variable(self, run: RolloutRun) -> HeldVariable:
        return run.variables.function_creators


class ReadCommittedOperator(VariableOperator):
    """Work on the server's transaction isolation."""

    def variable(self, run: RolloutRun) -> HeldVariable:
        return run.variables.read_committed


class SetFunctionCreatorsOperator(FunctionCreatorsOperator, SetVariableOperator):
    """The setting of log_bin_trust_function_creators, instead of granting SUPER to Keystone."""


class ResetFunctionCreatorsOperator(FunctionCreatorsOperator, ResetVariableOperator):
    """The reset of log_bin_trust_function_creators."""


class SetReadCommittedOperator(ReadCommittedOperator, SetVariableOperator):
    """The setting of transaction isolation READ COMMITTED, if the hop needs it."""


class ResetIsolationOperator(ReadCommittedOperator, ResetVariableOperator):
    """The reset of the server's transaction isolation."""
