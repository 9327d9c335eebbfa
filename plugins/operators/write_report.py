"""Write what the run did into one offline HTML file and its JSON."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from hooks.load_generator import LoadGeneratorHook
from hooks.report_file import write_report
from hooks.run_directory import RunDirectory
from rollout.run_record import build_record


class WriteReportOperator(BaseOperator):
    """Write the report, however the run ended; it needs neither the cloud nor its file."""

    def execute(self, context: Any) -> str:
        """Return the report's path."""
        instance = context["ti"]
        states = instance.get_task_states(dag_id=instance.dag_id, run_ids=[instance.run_id])
        flat = {task: state for run in states.values() for task, state in run.items()}
        red = sorted(task for task, state in flat.items() if state == "failed")
        stopped = any(state == "upstream_failed" for state in flat.values())
        directory = RunDirectory(str(context["run_id"]))
        samples = [
            sample
            for folder in sorted(directory.load.glob("*"))
            for sample in LoadGeneratorHook(folder).samples()
        ]
        state = "failed" if red or stopped else "succeeded"
        record = build_record(directory.run_id, directory.events(), samples, state)
        path = write_report(directory, {**record, "failed_tasks": red})
        self.log.info("Report: %s", path)
        return str(path)
