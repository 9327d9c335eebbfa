"""Docker Compose, version 2 (``docker compose``) or version 1 (``docker-compose`` 1.29)."""

import os
import shutil
import subprocess

from lab import paths
from lab.errors import LabError
from lab.topology import PROJECT


def find_command() -> list[str]:
    """Return the command line of the Compose that is installed; version 2 is preferred."""
    if shutil.which("docker"):
        probe = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if probe.returncode == 0:
            return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise LabError("neither `docker compose` nor `docker-compose` is installed; run lab/setup.sh")


def write_environment(source: str, prefix: str) -> None:
    """Write the variables of docker-compose.yaml, for us and for use by hand."""
    paths.COMPOSE_ENV.write_text(
        f"COMPOSE_PROJECT_NAME={PROJECT}\nLAB_SOURCE={source}\nLAB_NETWORK={prefix}\n"
    )


def run(*arguments: str) -> None:
    """Run one Compose command on the profile ``lab``.

    Raises LabError with Compose's last lines when it fails.
    """
    command = [
        *find_command(),
        "--project-name",
        PROJECT,
        "--env-file",
        str(paths.COMPOSE_ENV),
        "--profile",
        "lab",
        *arguments,
    ]
    environment = {**os.environ, "COMPOSE_IGNORE_ORPHANS": "1"}
    for name in ("LAB_SOURCE", "LAB_NETWORK"):
        environment.pop(name, None)
    done = subprocess.run(
        command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise LabError(f"`{' '.join(command)}` exited with {done.returncode}\n{tail}")
