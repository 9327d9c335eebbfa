"""Read both sides of an upgrade, and find everything that is wrong, before anything is touched."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from keystone_rollout.domain.run.events import DagNamed, Look, Noted, Planned
from keystone_rollout.domain.schema.forecast import forecasts
from keystone_rollout.hooks.files.cloud_file import CloudFileError
from keystone_rollout.procedures.plan.reader import migration_state
from keystone_rollout.procedures.preflight.checks import PreflightChecks
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.notification import warn_unreachable
from keystone_rollout.procedures.run.run import RolloutRun, record_of
from operators.rollout_operator import RolloutOperator


class PlanUpgradeOperator(RolloutOperator):
    """The plan: migrations, schema versions and the nodes' releases; it changes nothing.

    Its XCom holds the values that templates of later tasks name: heads, connections, node names.
    """

    def execute(self, context: Any) -> Any:
        """Refuse a wrong cloud file with all of its findings, before anything is touched."""
        try:
            return super().execute(context)
        except CloudFileError as error:
            raise AirflowFailException(str(error)) from error

    def run_step(self, run: RolloutRun, context: Any) -> dict[str, Any]:
        """Log the plan line by line, record it, and return it."""
        run.directory.record(DagNamed(dag=context["ti"].dag_id))
        run.record_deviations(context["params"])
        run.record_unverified()
        try:
            plan = self._read(run)
        except Exception as error:
            # One unreadable side is seldom alone: list everything that is wrong at once.
            require(run, "preflight", PreflightChecks(run).run(), Look.PREFLIGHT)
            raise AirflowFailException(f"the plan could not be made: {error}") from error
        run.directory.record(plan)
        self._log(run, plan)
        return plan.to_dict()  # plain data: Airflow gives no other object back from an XCom

    def _read(self, run: RolloutRun) -> Planned:
        cloud, state = run.cloud, migration_state(run)
        return Planned(
            cloud=cloud.name,
            source=cloud.source,
            target=cloud.target,
            image=cloud.upgrade_container.image,
            digest=run.engine.image.digest(),
            migrations=state.image,
            heads=state.image.heads(),
            recorded=state.recorded,
            state=state.by_phase(),
            phases=forecasts(state),
            # A node without an answer is a word in the plan: preflight judges it with all the rest.
            nodes=run.nodes.reports(),
            schema_bytes=run.schema.size(),
        )

    def _log(self, run: RolloutRun, plan: Planned) -> None:
        cloud = run.cloud
        self.log.info("Cloud %s: %s → %s", cloud.name, cloud.source_release, cloud.target_release)
        for phase in plan.phases:
            self.log.info("%s", phase)
        for name, release in plan.nodes.items():
            self.log.info("node %s: %s", name, release)


class ListNodesOperator(RolloutOperator):
    """The nodes to map over, in the cloud file's order.

    :param skip_first: leave the canary out
    :param newest_first: reverse the order, so that the node upgraded last is rolled back first
    """

    def __init__(
        self, *, skip_first: bool = False, newest_first: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.skip_first = skip_first
        self.newest_first = newest_first

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Return the names, at least one: the cloud file's model refuses an empty list."""
        names = run.cloud.node_names[1:] if self.skip_first else run.cloud.node_names
        return names[::-1] if self.newest_first else names


class PreflightOperator(RolloutOperator):
    """All checks before an upgrade; the task fails with all findings in one list."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Run the checks; AirflowFailException lists each violated one."""
        checks = PreflightChecks(run)
        warn_unreachable(run.cloud, run.directory)
        require(run, "preflight", checks.run(), Look.PREFLIGHT)
        for note in checks.hop.notes:
            self.log.warning(note)
            run.directory.record(Noted(text=note))


class GoOnOperator(BaseOperator):
    """The end of a run that was started only to check: all later tasks are skipped."""

    def execute(self, context: Any) -> None:
        """Skip this task, and with it all that follow, if param `action` is `check`."""
        if context["params"].get("action") == "check":
            text = "only checked, as asked for (param action): nothing was changed"
            record_of(context).record(Noted(text=text))
            raise AirflowSkipException(text)
