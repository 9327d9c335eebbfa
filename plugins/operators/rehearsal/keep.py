"""Keep a rehearsal's report, and write the history anew, for green and red rehearsals."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from keystone_rollout.domain.cloud.rehearsal import Rehearsal
from keystone_rollout.domain.run.events import Rehearsed
from keystone_rollout.hooks.files.cloud_file import CloudFileError
from keystone_rollout.procedures.rehearsal.history import PAGE, RehearsalHistory
from keystone_rollout.procedures.run.run import record_of
from keystone_rollout.procedures.run.systems import outside
from keystone_rollout.web.links import HistoryLink
from operators.rehearsal.operator import rehearsal_id
from operators.run_end import failed_tasks

DEFAULT_BOUND = int(Rehearsal.model_fields["history"].default)


class KeepRehearsalOperator(BaseOperator):
    """A copy of the upgrade's report in the cloud's history; it does not need the cloud itself."""

    operator_extra_links = (HistoryLink(),)

    def execute(self, context: Any) -> str:
        """Return the path of the history's page."""
        cloud = str(context["params"]["cloud"])
        rehearsal = rehearsal_id(context)
        started = record_of({**context, "run_id": rehearsal}).last(Rehearsed)
        red, _stopped = failed_tasks(context)
        history = RehearsalHistory(cloud, self._bound(cloud))
        row = history.keep(
            rehearsal,
            started.upgrade if started else "",
            f"no upgrade was started; red: {', '.join(red) or 'no task'}. Its log says why",
        )
        HistoryLink().show_cloud(self, context, cloud)
        page = history.folder / PAGE
        self.log.info(
            "Rehearsal: %s%s. History: %s", row["state"],
            f", report {history.folder / row['report']}" if row["report"] else
            f" ({row['problem']})" if row["problem"] else "", page,
        )  # fmt: skip
        return str(page)

    def _bound(self, cloud: str) -> int:
        try:
            declared = outside().cloud(cloud).rehearsal
        except CloudFileError as error:
            self.log.warning("The history keeps %s rehearsals: %s", DEFAULT_BOUND, error)
            return DEFAULT_BOUND
        return declared.history if declared else DEFAULT_BOUND
