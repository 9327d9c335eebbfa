"""Read the release that each Keystone node really runs."""

from dataclasses import dataclass

import docker
from docker.errors import NotFound

from lab.topology import NODES, Node
from machine import engine
from machine.errors import CommandError

SUDOERS = "/etc/sudoers.d/keystone-rollout"


@dataclass(frozen=True)
class NodeState:
    """Installed and running release of one node; empty if there is none.

    ``sudoers`` is the SHA-256 of the file with its account's privileges.
    """

    node: Node
    installed: str
    running: str
    neighbour: str
    sudoers: str = ""


def read_states(client: docker.DockerClient) -> list[NodeState]:
    """Return the state of every node, also of those whose container is missing."""
    return [read_state(client, node) for node in NODES]


def read_state(client: docker.DockerClient, node: Node) -> NodeState:
    """Return the releases that *node* has installed and that its Keystone process runs."""
    try:
        container = client.containers.get(node.container)
    except NotFound:
        return NodeState(node, "", "", "")
    if container.status != "running":
        return NodeState(node, "", "", "")
    # awk: `service keystone status` prints "keystone 12.0.3 is running (pid 42)".
    script = (
        "for package in keystone lab-neighbour; do "
        "dpkg-query -W -f '${Version}\\n' $package 2>/dev/null || echo; done; "
        f"sha256sum {SUDOERS} 2>/dev/null | cut -d' ' -f1 | grep . || echo; "
        "service keystone status | awk '/ is running /{print $2}'"
    )
    lines = [*engine.execute(container, ["bash", "-c", script])[1].splitlines(), *[""] * 4]
    installed, neighbour = (line.rsplit("-", 1)[0] for line in lines[:2])
    return NodeState(node, installed, lines[3].strip(), neighbour, lines[2].strip())


def keystone_manage(
    client: docker.DockerClient, arguments: list[str], environment: dict[str, str] | None = None
) -> None:
    """Run keystone-manage on the first node, as the account that owns its log.

    Secrets go through *environment*, never through *arguments*. Raises CommandError on failure.
    """
    container = client.containers.get(NODES[0].container)
    command = ["keystone-manage", *arguments]
    status, output = engine.execute(
        container, command, user="keystone", environment=environment or {}
    )
    if status != 0:
        tail = "\n".join(output.splitlines()[-10:])
        raise CommandError(
            f"`{' '.join(command)}` on {NODES[0].name} exited with {status} (allowed: 0)\n{tail}"
        )
