"""Change the database server's global variables before the phases, and restore them afterwards."""

from __future__ import annotations

from typing import Any

from keystone_rollout.hooks.database.variables import FunctionCreators, ReadCommitted, SavedVariable
from keystone_rollout.hooks.docker.container import PhaseContainer
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.witnesses import VariableWitness
from operators.rollout_operator import RolloutOperator


class SetVariableOperator(RolloutOperator):
    """Set one variable as database administrator; subclasses say which."""

    variable: type[SavedVariable]

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Save the original value in the database, then set the variable."""
        VariableWitness(run, self.variable).begin()


class RestoreVariableOperator(RolloutOperator):
    """Bring one variable's original value back, whatever ended the run."""

    variable: type[SavedVariable]

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Restore, or say that nothing was set.

        A migration that outlived its task still needs the variable, so its end is waited for; if
        that does not come in time, the variable is restored all the same.
        """
        try:
            self.log.info(PhaseContainer(run.cloud).settle_earlier())
        finally:
            self.log.info(VariableWitness(run, self.variable).end())


class SetFunctionCreatorsOperator(SetVariableOperator):
    """Set log_bin_trust_function_creators, rather than granting SUPER to Keystone."""

    variable = FunctionCreators


class RestoreFunctionCreatorsOperator(RestoreVariableOperator):
    """Restore log_bin_trust_function_creators."""

    variable = FunctionCreators


class SetReadCommittedOperator(SetVariableOperator):
    """Set the server's transaction isolation to READ COMMITTED, where the hop needs it."""

    variable = ReadCommitted


class RestoreIsolationOperator(RestoreVariableOperator):
    """Restore the server's transaction isolation."""

    variable = ReadCommitted
