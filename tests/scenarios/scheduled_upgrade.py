"""One upgrade under a real scheduler, handled as an operator does: through Airflow's REST API."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from lab.airflow.environment import UI_HOME, UI_PORT
from lab.airflow.page import Components, is_healthy
from lab.airflow.upgrade_run import DAG
from lab.paths import STATE
from lab.topology import HOST
from tests.scenarios.moments import Events, Moment
from tests.scenarios.scene import wait_for

PAGE = f"http://{HOST}:{UI_PORT}"
START_SECONDS = 180.0
RUN_SECONDS = 600.0
APPROVAL = "contraction.approve_contract"
WAITING = ("awaiting_input", "deferred")
ENDED = ("success", "failed")
POLL_SECONDS = 0.5
READING_SECONDS = 12.0
"""Between two questions to the page, which has other work to do."""

QUICK_SCHEDULER = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}
"""Let a scheduler that was started again find within seconds what a dead one has left."""


class ScheduledUpgrade:
    """Hold one DAG run of a running Airflow; its record is in the lab's runs.

    :param reading_seconds: how long whoever answers the approval has read it
    """

    def __init__(self, components: Components, reading_seconds: float = READING_SECONDS) -> None:
        self.components = components
        self.reading_seconds = reading_seconds
        self.run_id = ""
        self._session = requests.Session()

    def wait_until_ready(self) -> None:
        """Wait until every component is healthy and the DAG is known; then switch it on."""
        wait_for(f"the DAG on {PAGE}", self._knows_the_dag, START_SECONDS, POLL_SECONDS)
        self._call("PATCH", f"/dags/{DAG}", {"is_paused": False})

    def trigger(self, conf: Mapping[str, Any]) -> None:
        """Start a run."""
        answer = self._call("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": conf})
        self.run_id = str(answer["dag_run_id"])

    def state(self) -> str:
        """Return the run's state."""
        return str(self._call("GET", f"/dags/{DAG}/dagRuns/{self.run_id}")["state"])

    def task_states(self) -> dict[str, str]:
        """Return the state of each task; of a mapped one that of its last instance."""
        answer = self._call("GET", f"/dags/{DAG}/dagRuns/{self.run_id}/taskInstances?limit=200")
        return {one["task_id"]: str(one["state"]) for one in answer["task_instances"]}

    def wait_for_approval(self) -> None:
        """Wait until the run asks; AssertionError with the tasks' states if it ends before."""

        def asks() -> bool:
            state = self.state()
            assert state not in ENDED, f"{state} before approval: {self.red()}"
            return self.task_states().get(APPROVAL) in WAITING

        wait_for("the run asks for approval", asks, RUN_SECONDS, POLL_SECONDS)

    def answer(self, option: str) -> None:
        """Answer the approval, Approve or Reject, as quickly as somebody who has read it.

        An answer within a second of the question may meet an executor that has not told yet that
        the task waits; the scheduler then fails the task (apache/airflow#71172).
        """
        time.sleep(self.reading_seconds)
        path = f"/dags/{DAG}/dagRuns/{self.run_id}/taskInstances/{APPROVAL}/-1/hitlDetails"
        self._call("PATCH", path, {"chosen_options": [option]})

    def clear_failed(self) -> None:
        """Clear failed tasks, as the button of that name does."""
        self._call(
            "POST",
            f"/dags/{DAG}/clearTaskInstances",
            {"dry_run": False, "only_failed": True, "dag_run_id": self.run_id},
        )

    def wait_for_end(self) -> str:
        """Wait until the run has ended, and return its state."""
        wait_for("the run's end", lambda: self.state() in ENDED, RUN_SECONDS, POLL_SECONDS)
        return self.state()

    def red(self) -> dict[str, str]:
        """Return the tasks that have failed or never ran, with their states."""
        return {
            task: state
            for task, state in self.task_states().items()
            if state in ("failed", "upstream_failed")
        }

    @property
    def directory(self) -> Path:
        """Return the directory of the run's record."""
        return STATE / "runs" / re.sub(r"[^A-Za-z0-9_.-]", "_", self.run_id)

    def events(self, since: float = 0.0) -> Events:
        """Return what the run has recorded since a time (epoch seconds)."""
        path = self.directory / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        return [event for event in events if event["t"] >= since]

    def report(self) -> dict[str, Any]:
        """Return the run's report as data; empty where none was written."""
        path = self.directory / "report.json"
        data: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return data

    def words(self) -> str:
        """Return the logs of all tasks, and the reasons of failed steps."""
        logs = sorted(UI_HOME.glob(f"logs/dag_id={DAG}/run_id={self.run_id}/**/*.log"))
        reasons = [str(event["reason"]) for event in self.events() if event.get("reason")]
        return "\n".join([*(path.read_text(errors="replace") for path in logs), *reasons])

    def until(self, moment: Moment, seconds: float = RUN_SECONDS) -> None:
        """Wait for a moment of the run."""

        def reached() -> bool:
            if moment.reached(self.events()):
                return True
            state = self.state()
            assert state not in ENDED, f"{state} before {moment}: {self.red()}"
            return False

        wait_for(str(moment), reached, seconds, POLL_SECONDS)

    def _knows_the_dag(self) -> bool:
        ended = self.components.ended()
        assert ended is None, f"airflow {ended and ended[0]} has ended"
        try:
            if not is_healthy():
                return False
            token = self._session.get(f"{PAGE}/auth/token", timeout=10).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
            return self._session.get(f"{PAGE}/api/v2/dags/{DAG}", timeout=10).status_code == 200
        except (requests.RequestException, ValueError, KeyError):
            return False

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = self._session.request(method, f"{PAGE}/api/v2{path}", json=body, timeout=30)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()
