"""Put the lab where a campaign begins."""

from __future__ import annotations

from contextlib import suppress

import docker
from docker.errors import APIError

from lab import reset
from lab.cloud import database
from lab.data import content
from lab.topology import DATABASE_CONTAINER, NODES, PROJECT
from machine.errors import CommandError
from machine.progress import Report
from tests.lab_fixtures import lab_hop
from tests.scenarios.balancer_strikes import UNKNOWN_CONTAINER
from tests.scenarios.lab_nodes import remove_container

PHASE_CONTAINERS = f"{PROJECT}-phase"
"""What the names of upgrade containers begin with, in which migrations run."""


def reset_all(client: docker.DockerClient) -> None:
    """Put the lab back to its source release, whatever a fault has done to it."""
    remove_container(client, UNKNOWN_CONTAINER)
    for container in client.containers.list(all=True, filters={"name": PHASE_CONTAINERS}):
        remove_container(client, str(container.name))
    for name in [node.container for node in NODES]:
        # Only a container that hangs can be let go.
        with suppress(APIError):
            client.containers.get(name).unpause()
    client.containers.get(DATABASE_CONTAINER).start()
    database.wait_until_ready()
    with Report() as report:
        reset.reset(client, lab_hop().source, report)


def at_source(client: docker.DockerClient) -> None:
    """Put the lab back only where it is not at its source release."""
    if reset.differences(client, lab_hop().source):
        reset_all(client)


def before_contract(client: docker.DockerClient) -> None:
    """Take the lab as it is, unless its schema is contracted already or nobody can tell."""
    contracted = True
    with suppress(CommandError):
        versions = database.schema_versions()
        contracted = versions.get("keystone_contract") != _source_contract()
    if contracted:
        reset_all(client)


def _source_contract() -> str | None:
    versions = content.expected_versions(lab_hop().source) or {}
    return versions.get("keystone_contract")
