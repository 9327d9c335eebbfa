"""Find everything that is wrong before anything is touched."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.preflight.checks import PreflightChecks
from keystone_rollout.procedures.run.gate import settle
from keystone_rollout.procedures.run.notification import warn_unreachable
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rollout_operator import RolloutOperator


class PreflightOperator(RolloutOperator):
    """Make every check, and fail with all findings in one list."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Run the checks; AirflowFailException lists each violated one."""
        checks = PreflightChecks(run.cloud, run.lock)
        warn_unreachable(run.cloud, run.directory)
        settle(run, "preflight", checks.run())
        for note in checks.hop.notes:
            self.log.warning(note)
            run.directory.record("note", text=note)


class GoOnOperator(BaseOperator):
    """Go on after preflight, unless the run was only to check: then nothing else runs."""

    def execute(self, context: Any) -> None:
        """Skip this task, and with it all that follow, where param `action` is `check`."""
        if context["params"].get("action") == "check":
            text = "only checked, as asked for (param action): nothing was changed"
            RunDirectory(str(context["run_id"])).record("note", text=text)
            raise AirflowSkipException(text)
