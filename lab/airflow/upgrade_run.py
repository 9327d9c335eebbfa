"""Run one of the project's DAGs with `airflow dags test`, and follow it while it goes on."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.airflow.process import AirflowProcess

DAG = "keystone_upgrade"
KILL_TIMEOUT_S = 10.0


class UpgradeRun:
    """One run of a DAG; its record is read while it goes on.

    :param params: the run's params
    :param clouds: folder of cloud files; by default the project's own
    :param dag: id of the DAG
    :param environment: variables that this run gets and others do not
    :param airflow: process to run it in, perhaps one that has been warmed up; by default a new
        one of the lab's own Airflow
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        clouds: Path | None = None,
        *,
        dag: str = DAG,
        environment: Mapping[str, str] | None = None,
        airflow: AirflowProcess | None = None,
    ) -> None:
        self.params = dict(params)
        self.dag = dag
        self.environment = dict(environment or {})
        if clouds is not None:
            self.environment["ROLLOUT_CLOUDS"] = str(clouds)
        self.airflow = airflow or AirflowProcess()
        self.runs = Path(self.environment.get("ROLLOUT_RUNS", self.airflow.site.runs))
        self._known: set[str] | None = None
        self._directory: Path | None = None
        self._read = 0

    def start(self) -> None:
        """Start the run; its output goes to the log file."""
        self._known, self._directory = self._directories(), None
        arguments = ["dags", "test", self.dag, "-c", json.dumps(self.params)]
        self.airflow.start(arguments, self.environment)

    @property
    def log(self) -> Path:
        """Return the file that the run's output goes to."""
        return self.airflow.log

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Return the run's process; AssertionError before the start."""
        assert self.airflow.process is not None, "the run has not been started"
        return self.airflow.process

    @property
    def directory(self) -> Path | None:
        """Return the run's directory, once it exists."""
        if self._directory is None and self._known is not None:
            # Named after the time of their start: the first new one is this run's.
            new = sorted(self._directories() - self._known)
            self._directory = self.runs / new[0] if new else None
        return self._directory

    @property
    def run_id(self) -> str:
        """Return Airflow's id of the run from its log; LookupError if the log has none yet."""
        directory = self.directory
        for found in re.findall(r"\bmanual__[0-9T:.+-]+", self.log_text()):
            if directory and re.sub(r"[^A-Za-z0-9_.-]", "_", found) == directory.name:
                return str(found)
        raise LookupError(f"no id of the run in {directory} is in {self.log}")

    def log_text(self) -> str:
        """Return all that the run has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def events(self) -> list[dict[str, Any]]:
        """Return what the run has recorded so far."""
        path = self.directory and self.directory / "events.jsonl"
        if not path or not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def new_events(self) -> Iterator[dict[str, Any]]:
        """Yield what was recorded since the last call."""
        events = self.events()
        yield from events[self._read :]
        self._read = len(events)

    def ended(self) -> bool:
        """Tell whether the run has ended."""
        return self.airflow.process is not None and self.process.poll() is not None

    def wait(self, seconds: float) -> int:
        """Wait for the end and return the exit code; TimeoutError names the log."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(
                f"the run has not ended after {seconds:g} s, see {self.log}"
            ) from error

    def kill(self) -> int:
        """End the run's whole process group with SIGKILL, as a dying machine would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.wait(KILL_TIMEOUT_S)

    def report(self) -> dict[str, Any]:
        """Return the run's report as data; empty if none was written."""
        path = self.directory and self.directory / "report.json"
        if not path or not path.exists():
            return {}
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return data

    def _directories(self) -> set[str]:
        return {path.name for path in self.runs.glob("*")} if self.runs.is_dir() else set()
