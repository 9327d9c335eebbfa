"""Docker Compose, version 2 (``docker compose``) or version 1 (``docker-compose`` 1.29)."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from machine import paths
from machine.errors import CommandError


def find_command() -> list[str]:
    """Return the command line of the Compose that is installed; version 2 is preferred."""
    if shutil.which("docker"):
        probe = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if probe.returncode == 0:
            return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise CommandError(
        "neither `docker compose` nor `docker-compose` is installed; run lab/setup.sh lab"
    )


@dataclass(frozen=True)
class Project:
    """A project of docker-compose.yaml.

    :param variables: file with the variables that docker-compose.yaml reads
    :param own: prefixes of the names of variables that only this file may set: those of our own
        environment would prevail
    """

    name: str
    variables: Path
    own: tuple[str, ...]

    def run(self, profiles: Sequence[str], *arguments: str, stdin: bytes = b"") -> str:
        """Run one Compose command and return what it printed.

        Raises CommandError with Compose's last lines when it fails.
        """
        options = ["--project-name", self.name, "--env-file", str(self.variables)]
        for profile in profiles:
            options += ["--profile", profile]
        command = [*find_command(), *options]
        done = subprocess.run(
            [*command, *arguments],
            cwd=paths.ROOT,
            env=self._environment(),
            input=stdin,
            capture_output=True,
            check=False,
        )
        output = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode != 0:
            tail = "\n".join(output.splitlines()[-10:])
            raise CommandError(
                f"`{' '.join([*command, *arguments[:3]])}` exited with {done.returncode}\n{tail}"
            )
        return output

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(self.own)}
        return {**kept, "COMPOSE_IGNORE_ORPHANS": "1"}
