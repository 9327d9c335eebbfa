"""The lab's nodes, as the faults and the questions after them see and handle them."""

from __future__ import annotations

import socket
from contextlib import suppress

import docker
from docker.errors import NotFound

from lab.cloud import balancer
from lab.topology import BACKEND, HOST, NODES, Node
from machine import engine

SOURCE, TARGET = "12.0.3", "13.0.4"
SERVE_SECONDS = 40.0
INSTALL_SECONDS = 120.0
"""From stop to start; it takes 5 s on a quiet machine."""


def node(number: int) -> Node:
    """Return the node keystone-<number>."""
    return NODES[number - 1]


def on_node(client: docker.DockerClient, number: int, script: str) -> str:
    """Run a script as root on a node; AssertionError with its output where it fails."""
    container = client.containers.get(node(number).container)
    status, output = engine.execute(container, ["bash", "-c", f"set -e\n{script}"])
    assert status == 0, f"{node(number).name}: exit status {status}: {output.strip()[-500:]}"
    return output


def serves(number: int) -> bool:
    """Tell whether HAProxy sends requests to a node."""
    return any(one.name == node(number).name and one.serving for one in balancer.servers())


def is_drained(number: int) -> bool:
    """Tell whether an operator, or the upgrade, has set a node's server to drain."""
    return any(
        one.name == node(number).name and one.administrative == "drain"
        for one in balancer.servers()
    )


def release_of(client: docker.DockerClient, number: int) -> str:
    """Return the release whose packages a node's package source leads to."""
    source = on_node(client, number, "cat /etc/apt/sources.list.d/keystone.list")
    return next((release for release in (SOURCE, TARGET) if f"/{release} " in source), source)


def sessions(server: str) -> int:
    """Return how many sessions HAProxy has with a server; 0 of one that it does not know."""
    rows = (line.split(",") for line in balancer.command("show stat").splitlines())
    return next((int(row[4] or 0) for row in rows if row[:2] == [BACKEND, server]), 0)


def answers_ssh(number: int) -> bool:
    """Tell whether a node's sshd itself answers: its published port does even without one."""
    try:
        with socket.create_connection((HOST, node(number).ssh_port), timeout=2) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def remove_container(client: docker.DockerClient, name: str) -> None:
    """Remove a container, running or not; harmless where there is none."""
    with suppress(NotFound):
        client.containers.get(name).remove(force=True)
