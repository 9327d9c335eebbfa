"""Give DAG tests an Airflow with a metadata database of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import DAG

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def initialised_airflow() -> Path:
    """Migrate the metadata database of this test session's AIRFLOW_HOME."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        capture_output=True,
        env=os.environ,
    )
    return Path(os.environ["AIRFLOW_HOME"])


@pytest.fixture(scope="session")
def dags(initialised_airflow: Path) -> dict[str, DAG]:
    """Return every DAG of the project by its id, none of which may fail to be imported."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "dags", bundle_name="test")
    assert bag.import_errors == {}
    return bag.dags
