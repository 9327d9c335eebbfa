"""Airflow against the lab: the variables it needs."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from lab import paths
from lab.topology import HOST

UI_PORT = 8080
UI_HOME = paths.STATE / "airflow-ui"
ALL_ADMINS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"


def environment(home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return *inherited* with the variables for running this project's DAGs from *home*.

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


def ui_environment(inherited: Mapping[str, str], home: Path = UI_HOME) -> dict[str, str]:
    """Return the variables of Airflow with its web page: on 127.0.0.1 only, no login, small.

    Whoever sets Airflow's own variable for "everybody is admin" to False gets the login of its
    simple auth manager.
    """
    return {
        **environment(home, inherited),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        ALL_ADMINS: inherited.get(ALL_ADMINS, "True"),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(UI_PORT),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{UI_PORT}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{UI_PORT}/execution/",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }
