"""The files of an Airflow of this project: everything under ``.airflow/``."""

from pathlib import Path

from machine import paths as machine_paths

SOURCES = Path(__file__).resolve().parent
ROOT = machine_paths.ROOT
IMAGES = SOURCES / "images"
REQUIREMENTS = (ROOT / "requirements.txt", SOURCES / "requirements.txt")

STATE = ROOT / ".airflow"
SECRETS = STATE / "secrets"
LOGIN = STATE / "login"
PASSWORDS = LOGIN / "passwords.json"
CONFIGURATION = STATE / "config"
RUNS = STATE / "runs"
REHEARSALS = STATE / "rehearsals"
"""Beside the runs, where tasks keep the rehearsals' history (hooks/files/run_directory.py)."""
LOGS = STATE / "logs"
FILES = STATE / "files"
COMPOSE_ENV = STATE / "compose.env"
LAB_CONNECTIONS = machine_paths.STATE / "connections.yaml"
"""Of the staging cloud, if this machine has one: they are stored in Airflow, too."""


def make_state_directories() -> None:
    """Create the directories that the containers mount, for this account alone.

    Docker would make a missing one itself, as root's.
    """
    for directory in (STATE, SECRETS, LOGIN, CONFIGURATION, RUNS, REHEARSALS, LOGS, FILES):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
