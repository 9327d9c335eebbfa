"""Set log_bin_trust_function_creators before the phases, and restore it afterwards."""

from __future__ import annotations

from typing import Any

from hooks.function_creators import VARIABLE, FunctionCreators
from hooks.rollout_run import RolloutRun
from operators.rollout_operator import RolloutOperator


class SetFunctionCreatorsOperator(RolloutOperator):
    """Set the variable, as database administrator, rather than granting SUPER to Keystone."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Save the original value in the database, then set 1."""
        original = FunctionCreators(run.cloud).set(run.directory.run_id)
        run.directory.record("variable", name=VARIABLE, value="1", original=original)
        self.log.info("%s: %s → 1", VARIABLE, original)


class RestoreFunctionCreatorsOperator(RolloutOperator):
    """Bring the original value back, whatever ended the run."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Restore, or say that nothing was set."""
        creators = FunctionCreators(run.cloud)
        original = creators.restore()
        value = creators.value()
        run.directory.record("variable", name=VARIABLE, value=value, original=original)
        self.log.info("%s: %s", VARIABLE, value if original is None else f"back at {original}")
