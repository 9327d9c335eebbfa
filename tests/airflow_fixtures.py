"""Give tests an Airflow with a metadata database of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import DAG

ROOT = Path(__file__).resolve().parents[1]
_initialised: set[Path] = set()
"""A session's fixture is made once for each folder of tests that imports it."""


@pytest.fixture(scope="session")
def initialised_airflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give this process's AIRFLOW_HOME a migrated metadata database.

    Of processes that run tests side by side (pytest-xdist) the first one migrates, which takes
    some ten seconds; the others start from a copy of what it made, before anything is in it.
    """
    home = Path(os.environ["AIRFLOW_HOME"])
    if home in _initialised:
        return home
    _initialised.add(home)
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    made = folder / "migrated.db"
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            shutil.copy(made, home / "airflow.db")
            return home
        subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            check=True,
            capture_output=True,
            env=os.environ,
        )
        shutil.copy(home / "airflow.db", made)
    return home


@pytest.fixture(scope="session")
def dags(initialised_airflow: Path) -> dict[str, DAG]:
    """Return every DAG of the project by its id, none of which may fail to be imported."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "dags", bundle_name="test")
    assert bag.import_errors == {}
    return bag.dags
