"""Give DAG tests an Airflow with a metadata database of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


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
