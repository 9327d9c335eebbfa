"""The lab's containers, started by Docker Compose."""

from lab import paths
from lab.topology import PROJECT
from machine import compose


def write_environment(source: str, prefix: str) -> None:
    """Write the variables of docker-compose.yaml, for us and for use by hand."""
    paths.COMPOSE_ENV.write_text(
        f"COMPOSE_PROJECT_NAME={PROJECT}\nLAB_SOURCE={source}\nLAB_NETWORK={prefix}\n"
    )


def run(*arguments: str) -> None:
    """Run one Compose command on the profile ``lab``; raises CommandError when it fails."""
    project = compose.Project(PROJECT, paths.COMPOSE_ENV, own=("LAB_SOURCE", "LAB_NETWORK"))
    project.run(["lab"], *arguments)
