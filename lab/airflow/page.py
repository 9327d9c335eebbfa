"""Airflow's web page against the lab: its four components, until they are told to stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import requests

from lab import paths
from lab.airflow.environment import UI_HOME, UI_PORT, ui_environment
from lab.topology import HOST
from machine import network
from machine.errors import CommandError

STOP_TIMEOUT_S = 20.0
"""Seconds that Airflow's components get to end by themselves."""

COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
MIGRATION = "db-migrate"


def serve_ui(home: Path = UI_HOME) -> int:
    """Run Airflow until one of its components ends or this process is told to stop."""
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    print("Airflow: database ...", flush=True)
    try:
        with Components(ui_environment(os.environ, home)) as components:
            return _watch(components, started)
    except KeyboardInterrupt:
        print("Airflow: stopping", flush=True)
        return 0


class Components:
    """Airflow with its web page: four processes, which end with the block.

    The same ones as ``airflow standalone``, which cannot be used as it is: its scheduler and
    triggerer serve logs on every interface, and on SIGTERM it leaves its children behind.

    :param variables: environment of the processes, see ``ui_environment``
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._killed: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Components":
        if not network.is_free(UI_PORT):
            raise CommandError(
                f"{HOST}:{UI_PORT} (Airflow's web page) is in use by another process; "
                "stop it (find it with: ss -ltnp) and start again"
            )
        Path(self.variables["AIRFLOW_HOME"]).mkdir(parents=True, exist_ok=True)
        for name in (MIGRATION, *COMPONENTS):
            component_log(name).unlink(missing_ok=True)
        _run_to_end(MIGRATION, ["db", "migrate"], self.variables)
        try:
            for name in COMPONENTS:
                self.start(name)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self, name: str) -> None:
        """Start one component; its log is appended to an earlier one's."""
        self._processes[name] = _start(name, COMPONENTS[name], self.variables)

    def kill(self, name: str) -> None:
        """End one component's own process with SIGKILL; what it had started goes on."""
        process = self._processes.pop(name)
        self._killed.append(process)
        process.kill()
        # Waited for, but not collected: until `stop` nobody else can get its number, which is
        # that of the process group too.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    def ended(self) -> "tuple[str, subprocess.Popen[bytes]] | None":
        """Return a component that has ended, None while all of them run."""
        return next((one for one in self._processes.items() if one[1].poll() is not None), None)

    def stop(self) -> None:
        """End all components, and the processes that a killed one has left behind."""
        _stop([*self._killed, *self._processes.values()])


def is_healthy() -> bool:
    """Return whether every component reports healthy through the web server."""
    try:
        answer = requests.get(f"http://{HOST}:{UI_PORT}/api/v2/monitor/health", timeout=5).json()
    except (requests.RequestException, ValueError):
        return False
    names = ("scheduler", "triggerer", "dag_processor")
    return all(answer.get(name, {}).get("status") == "healthy" for name in names)


def component_log(name: str) -> Path:
    """Return the file that a component's output goes to."""
    return paths.LOG / f"airflow-{name}.log"


def _start(
    name: str, arguments: list[str], variables: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start one component in a process group of its own, its output in the log directory."""
    with component_log(name).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", *arguments],
            env=variables,
            cwd=paths.ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _run_to_end(name: str, arguments: list[str], variables: Mapping[str, str]) -> None:
    status = _start(name, arguments, variables).wait()
    if status != 0:
        raise CommandError(
            f"airflow {' '.join(arguments)} exited with {status}, log {component_log(name)}"
        )


def _watch(components: Components, started: float) -> int:
    """Say when the web page answers; return 1 as soon as a component ends."""
    ready = False
    while True:
        ended = components.ended()
        if ended is not None:
            name, process = ended
            print(
                f"error: airflow {name} ended with {process.returncode}, log {component_log(name)}",
                file=sys.stderr,
            )
            return 1
        if not ready and is_healthy():
            ready = True
            seconds = time.monotonic() - started
            print(f"Airflow: ready after {seconds:.0f} s on http://{HOST}:{UI_PORT}/", flush=True)
            print("Airflow: Ctrl-C stops it", flush=True)
        time.sleep(1.0)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _stop(processes: "list[subprocess.Popen[bytes]]") -> None:
    """End the process groups, also processes that outlive their leaders."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    _signal_groups(processes, signal.SIGTERM)
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
    _signal_groups(processes, signal.SIGKILL)
    for process in processes:
        process.wait()


def _signal_groups(processes: "list[subprocess.Popen[bytes]]", number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
