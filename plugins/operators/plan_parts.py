"""Plan an upgrade without changing anything: read part by part, then write the page."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.releases.hop_plan import hop_part
from keystone_rollout.domain.run.events import DagNamed
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import CloudFileError
from keystone_rollout.procedures.plan.file import record_part, recorded_parts, write_plan
from keystone_rollout.procedures.plan.reader import PlanReader
from keystone_rollout.procedures.run.run import RolloutRun, record_of
from keystone_rollout.procedures.run.systems import outside
from keystone_rollout.views.plan.view import findings
from keystone_rollout.web.links import PlanLink
from operators.rollout_operator import RolloutOperator


class PlanPartOperator(RolloutOperator):
    """One part of the plan; if it cannot be read, that is a finding and not a failure.

    So one page shows it together with all the rest, and task write_plan is red.
    """

    any_hop = True
    part = ""

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Record the part and return its findings."""
        data = self.read(run)
        record_part(run.directory, self.part, data)
        found = [str(Verdict(**each)) for each in data["findings"]]
        for each in found:
            self.log.warning(each)
        return found

    def read(self, run: RolloutRun) -> dict[str, Any]:
        """Return the part as plain data, with its ``findings``."""
        raise NotImplementedError


class PlanHopOperator(PlanPartOperator):
    """The hop: whether it exists, and what it needs."""

    part = "hop"

    def execute(self, context: Any) -> Any:
        """Refuse a wrong cloud file with all of its findings: there is nothing to plan with."""
        try:
            return super().execute(context)
        except CloudFileError as error:
            raise AirflowFailException(str(error)) from error

    def read(self, run: RolloutRun) -> dict[str, Any]:
        """Return the hop."""
        run.directory.record(DagNamed(dag="keystone_plan"))
        return hop_part(run.cloud)


class ReadMigrationsOperator(PlanPartOperator):
    """The migrations of each phase, from image and version table."""

    part = "migrations"

    def read(self, run: RolloutRun) -> dict[str, Any]:
        """Return the migrations."""
        return PlanReader(run).read_migrations()


class ReadSchemaOperator(PlanPartOperator):
    """The sizes of the schema's tables."""

    part = "schema"

    def read(self, run: RolloutRun) -> dict[str, Any]:
        """Return the tables."""
        return PlanReader(run).read_schema()


class ReadNodesOperator(PlanPartOperator):
    """The release of every node and the servers of every HAProxy."""

    part = "nodes"

    def read(self, run: RolloutRun) -> dict[str, Any]:
        """Return the nodes."""
        return PlanReader(run).read_nodes()


class EstimateStepsOperator(PlanPartOperator):
    """The times of earlier upgrades."""

    part = "estimate"

    def read(self, run: RolloutRun) -> dict[str, Any]:
        """Return the estimate."""
        return outside().estimate(run.cloud)


class WritePlanOperator(BaseOperator):
    """The page of the plan; the task is red if anything stands in the way.

    It runs even if other tasks failed; a missing part is a finding, so that it cannot turn a failed
    run green.
    """

    operator_extra_links = (PlanLink(),)

    def execute(self, context: Any) -> str:
        """Return the page's path; AirflowFailException lists what stands in the way."""
        directory = record_of(context)
        path, text = write_plan(directory)
        for line in text.splitlines():
            self.log.info("%s", line)
        self.log.info("Page: %s", path)
        found = findings(recorded_parts(directory))
        if found:
            raise AirflowFailException(
                f"not ready: {len(found)} finding(s), all of the plan in {path}\n- "
                + "\n- ".join(str(each) for each in found)
            )
        return str(path)
