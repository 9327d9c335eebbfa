"""Start and stop Airflow's containers by Docker Compose, and run commands in them."""

from pathlib import Path

from machine import compose
from machine.errors import CommandError
from production import paths
from production.settings import PROJECT, read_written

PROFILES = ("airflow", "celery")
# The file's name ends in .yaml, by which Airflow knows its format; /tmp is memory of the container.
IMPORT = """
set -e
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/connections.yaml"
airflow connections import --overwrite "$folder/connections.yaml"
"""


def start() -> None:
    """Start the profiles of compose.env, and stop the containers of the other executor."""
    profiles = read_written()["COMPOSE_PROFILES"].split(",")
    _compose(profiles, "up", "--detach", "--no-build")
    if "celery" not in profiles:
        _compose(["celery"], "rm", "--stop", "--force", "redis", "worker")


def start_worker() -> None:
    """Start the worker alone, for an Airflow on another machine."""
    _compose(["celery"], "up", "--detach", "--no-build", "worker")


def stop() -> None:
    """Stop and remove the containers; database, secrets, logs and reports stay."""
    # Not `down`: with Compose 1.29 that would take the lab's network along.
    _compose(list(PROFILES), "rm", "--stop", "--force")


def import_connections(file: Path) -> str:
    """Store the connections of a file in Airflow, encrypted; return Airflow's output.

    They go in through standard input, so that no command line holds one. Connections of the same
    id are replaced.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CommandError(
            f"{file} cannot be read ({error.strerror}); no connection was stored"
        ) from error
    command = ["exec", "-T", "scheduler", "sh", "-c", IMPORT]
    return _compose(["airflow"], *command, stdin=content)


def _compose(profiles: list[str], *arguments: str, stdin: bytes = b"") -> str:
    read_written()
    project = compose.Project(PROJECT, paths.COMPOSE_ENV, own=("ROLLOUT_", "LAB_", "COMPOSE_"))
    return project.run(profiles, *arguments, stdin=stdin)
