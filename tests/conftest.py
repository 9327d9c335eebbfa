"""Keep the tests' Airflow apart from any other one on this machine.

Airflow reads its home when it is imported, so it is set here, before any test module is. Tests that
run side by side (`pytest -n 2`) run in processes, each of which has a home of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

_HOME = tempfile.mkdtemp(prefix="keystone-rollout-tests-")
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
_ROOT = Path(__file__).resolve().parents[1]
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(_ROOT / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(_ROOT / "plugins")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the tests' Airflow home."""
    shutil.rmtree(_HOME, ignore_errors=True)
