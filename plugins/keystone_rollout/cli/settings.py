"""Print the settings with which an Airflow uses this distribution: ``python -m keystone_rollout``.

One assignment a line, which a shell reads as well as systemd's EnvironmentFile.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from keystone_rollout.hooks.files.project import INSTALLED, PROJECT

LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"


def settings(
    folder: Path, clouds: Path, runs: Path, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that add the project in a folder to an Airflow.

    :param clouds: folder of the operator's cloud files
    :param runs: folder for records and reports, on every machine that runs tasks
    :param inherited: environment whose PYTHONPATH is kept
    """
    bundles = [
        {"name": "dags-folder", "classpath": LOCAL_BUNDLE, "kwargs": {}},
        {
            "name": "keystone-rollout",
            "classpath": LOCAL_BUNDLE,
            "kwargs": {"path": str(folder / "dags")},
        },
    ]
    plugins = str(folder / "plugins")
    path = [plugins, *filter(None, inherited.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "ROLLOUT_CLOUDS": str(clouds),
        "ROLLOUT_RUNS": str(runs),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the settings; return 1 if this is a Git checkout and not an installed distribution."""
    parser = argparse.ArgumentParser(prog="python -m keystone_rollout", description=__doc__)
    parser.add_argument("--clouds", type=Path, default=Path("/etc/keystone-rollout/clouds"))
    parser.add_argument("--runs", type=Path, default=Path("/var/lib/keystone-rollout/runs"))
    options = parser.parse_args(arguments)
    if not INSTALLED:
        print(
            f"error: {PROJECT} is a Git checkout and not an installed distribution. "
            "Next: follow the other way in docs/deployment.md",
            file=sys.stderr,
        )
        return 1
    for name, value in settings(PROJECT, options.clouds, options.runs, os.environ).items():
        print(f"{name}={shlex.quote(value)}")
    return 0
