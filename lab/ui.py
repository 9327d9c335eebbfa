"""Start Airflow's own page against the lab: `airflow standalone`, LocalExecutor, 127.0.0.1:8080."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from typing import Any
from urllib.error import URLError

from lab.paths import LOG, ROOT, STATE
from lab.upgrade_run import DAG, activated_environment

HOME = STATE / "airflow-ui"
ADDRESS = "http://127.0.0.1:8080"
START_SECONDS = 120.0


def environment() -> dict[str, str]:
    """Return the lab's environment with a metadata database of its own.

    `airflow dags test` and a scheduler on one metadata database would both run the same run.
    """
    return activated_environment() | {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": "8080",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": ADDRESS,
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    }


class Standalone:
    """`airflow standalone` in a session of its own, so that all of it ends together."""

    def __init__(self) -> None:
        self.log = LOG / "airflow-ui.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once the page answers and the DAG is known."""
        HOME.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                ["airflow", "standalone"],
                env=environment(),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS
        while not self._knows_the_dag():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise TimeoutError(
                    f"Airflow is not ready on {ADDRESS} after {START_SECONDS:g} s, see {self.log}"
                )
            time.sleep(1)

    def stop(self) -> None:
        """End the whole process group: SIGTERM to `standalone` alone would orphan its children."""
        if self.process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(20)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    def _knows_the_dag(self) -> bool:
        try:
            return bool(call("GET", f"/api/v2/dags/{DAG}")["dag_id"] == DAG)
        except (URLError, OSError, KeyError):
            return False


def call(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Call Airflow's REST API as the page does; the lab's Airflow takes everybody as admin."""
    request = urllib.request.Request(
        ADDRESS + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {_token()}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        data: dict[str, Any] = json.loads(answer.read() or b"{}")
        return data


def _token() -> str:
    with urllib.request.urlopen(ADDRESS + "/auth/token", timeout=20) as answer:
        return str(json.loads(answer.read())["access_token"])
