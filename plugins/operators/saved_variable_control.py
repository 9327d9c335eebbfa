"""Set the database server's global variables before the phases, and reset them afterwards."""

from __future__ import annotations

from typing import Any

from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.teardown import Teardown
from keystone_rollout.procedures.run.witnesses import (
    FunctionCreatorsWitness,
    ReadCommittedWitness,
    VariableWitness,
)
from operators.rollout_operator import RolloutOperator


class VariableOperator(RolloutOperator):
    """Work on one variable; a subclass names it."""

    witness: type[VariableWitness]


class SetVariableOperator(VariableOperator):
    """The setting of one variable as database administrator."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Save the original value in the database, then set the variable."""
        self.witness(run).begin()


class ResetVariableOperator(VariableOperator):
    """The reset of one variable to its original value, in every run."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Reset the variable, or say that nothing was set.

        A migration that outlived its task still needs the variable, so this waits for its end,
        also while Docker does not answer. If it is not known within limits.teardown_seconds, the
        variable is reset all the same.
        """
        try:
            wait = run.engine.container.wait_for_earlier
            self.log.info(Teardown(run).do("waiting for a migration's end", wait))
        finally:
            self.log.info(self.witness(run).end())


class FunctionCreatorsOperator(VariableOperator):
    """Work on log_bin_trust_function_creators."""

    witness = FunctionCreatorsWitness


class ReadCommittedOperator(VariableOperator):
    """Work on the server's transaction isolation."""

    witness = ReadCommittedWitness


class SetFunctionCreatorsOperator(FunctionCreatorsOperator, SetVariableOperator):
    """The setting of log_bin_trust_function_creators, instead of granting SUPER to Keystone."""


class ResetFunctionCreatorsOperator(FunctionCreatorsOperator, ResetVariableOperator):
    """The reset of log_bin_trust_function_creators."""


class SetReadCommittedOperator(ReadCommittedOperator, SetVariableOperator):
    """The setting of transaction isolation READ COMMITTED, if the hop needs it."""


class ResetIsolationOperator(ReadCommittedOperator, ResetVariableOperator):
    """The reset of the server's transaction isolation."""
