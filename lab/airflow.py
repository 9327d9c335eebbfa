"""Airflow against the lab: the variables it needs, and its web page."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import requests

from lab import network, paths
from lab.errors import LabError
from lab.topology import HOST

UI_PORT = 8080
UI_HOME = paths.STATE / "airflow-ui"
STOP_TIMEOUT_S = 20.0
"""Seconds that Airflow's components get to end by themselves."""

COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


def environment(home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return *inherited* with what Airflow needs to run this project's DAGs from *home*.

    The same as ``lab/activate`` sets for a shell.
    """
    path = [str(paths.ROOT / "plugins")]
    path += [part for part in inherited.get("PYTHONPATH", "").split(os.pathsep) if part]
    return {
        **inherited,
        "PATH": os.pathsep.join([str(paths.ROOT / ".venv" / "bin"), inherited.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(paths.ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(paths.ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(
            {"connections_file_path": str(paths.CONNECTIONS)}
        ),
        "ROLLOUT_RUNS": str(paths.STATE / "runs"),
    }


def ui_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of Airflow with its web page: on 127.0.0.1 only, no login, small."""
    return {
        **environment(UI_HOME, inherited),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(UI_PORT),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{UI_PORT}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{UI_PORT}/execution/",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }


def serve_ui() -> int:
    """Run Airflow until one of its components ends or this process is told to stop.

    The same components as ``airflow standalone``, which cannot be used as it is: its scheduler
    and triggerer serve logs on every interface, and on SIGTERM it leaves its children behind.
    """
    if not network.is_free(UI_PORT):
        raise LabError(
            f"{HOST}:{UI_PORT} (Airflow's web page) is in use by another process; "
            "stop it (find it with: ss -ltnp) and start again"
        )
    UI_HOME.mkdir(parents=True, exist_ok=True)
    variables = ui_environment(os.environ)
    started = time.monotonic()
    print("Airflow: database ...", flush=True)
    _run_to_end("db-migrate", ["db", "migrate"], variables)
    signal.signal(signal.SIGTERM, _interrupt)
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, arguments in COMPONENTS.items():
            processes[name] = _start(name, arguments, variables)
        return _watch(processes, started)
    except KeyboardInterrupt:
        print("Airflow: stopping", flush=True)
        return 0
    finally:
        _stop(list(processes.values()))


def _log(name: str) -> Path:
    return paths.LOG / f"airflow-{name}.log"


def _start(
    name: str, arguments: list[str], variables: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start one component in a process group of its own, its output in the log directory."""
    with _log(name).open("wb") as output:
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
        raise LabError(f"airflow {' '.join(arguments)} exited with {status}, log {_log(name)}")


def _watch(processes: Mapping[str, "subprocess.Popen[bytes]"], started: float) -> int:
    """Say when the web page answers; return 1 as soon as a component ends."""
    ready = False
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                print(
                    f"error: airflow {name} ended with {process.returncode}, log {_log(name)}",
                    file=sys.stderr,
                )
                return 1
        if not ready and _is_healthy():
            ready = True
            seconds = time.monotonic() - started
            print(f"Airflow: ready after {seconds:.0f} s on http://{HOST}:{UI_PORT}/", flush=True)
            print("Airflow: Ctrl-C stops it", flush=True)
        time.sleep(1.0)


def _is_healthy() -> bool:
    """Return whether every component reports healthy through the web server."""
    try:
        answer = requests.get(f"http://{HOST}:{UI_PORT}/api/v2/monitor/health", timeout=5).json()
    except (requests.RequestException, ValueError):
        return False
    names = ("scheduler", "triggerer", "dag_processor")
    return all(answer.get(name, {}).get("status") == "healthy" for name in names)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _stop(processes: "list[subprocess.Popen[bytes]]") -> None:
    """End the process groups, also what outlives their leaders."""
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
