"""Fixtures of this folder: the real lab, and one run of all commands of the documentation."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.docs.command_run import CommandRun, run_commands
from tests.docs.covered_commands import runs_here
from tests.docs.documentation import ROOT, pages
from tests.lab_fixtures import lab

__all__ = ["lab"]

COPIED = ("dags", "plugins", "include", "docs", "Makefile", "lab", "machine", "pyproject.toml")


@pytest.fixture(scope="session")
def command_run(tmp_path_factory: pytest.TempPathFactory) -> CommandRun:
    """Run the commands that are run here, page by page, in a copy of the project."""
    folder = tmp_path_factory.mktemp("documentation")
    project, home = folder / "project", folder / "home"
    home.mkdir()
    project.mkdir()
    for name in COPIED:
        source, target = ROOT / name, project / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    # The runbook says that staging has a cloud file of its own.
    clouds = project / "include" / "clouds"
    shutil.copy(clouds / "production-example.yaml", clouds / "staging.yaml")
    binaries = Path(sys.executable).parent
    environment = {
        "HOME": str(home),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # A reader takes longer between two commands than the seconds (30) within which Airflow
        # writes no DAG again, whatever it is asked for.
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        # The interpreter of these tests instead of the checkout's .venv, which the copy lacks.
        "MAKEFLAGS": f"python={sys.executable}",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
    commands = [each for page in pages() for each in page.commands() if runs_here(each.text)]
    return run_commands(commands, project, home, environment)
