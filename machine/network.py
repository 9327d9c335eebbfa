"""Find out before the start whether networks and ports of this machine are free."""

import ipaddress
import socket
import subprocess
from collections.abc import Iterable, Mapping

import docker

from machine.errors import CommandError

HOST = "127.0.0.1"
CANDIDATES = ("172.31.213", "172.31.214", "172.30.213", "10.213.77", "192.168.213")


def choose_prefix(taken: Iterable[str]) -> str:
    """Return the first three numbers of a /24 that overlaps none of *taken* (CIDR)."""
    networks = [ipaddress.ip_network(text, strict=False) for text in taken]
    for prefix in CANDIDATES:
        own = ipaddress.ip_network(f"{prefix}.0/24")
        if not any(own.version == n.version and own.overlaps(n) for n in networks):
            return prefix
    wanted = ", ".join(f"{prefix}.0/24" for prefix in CANDIDATES)
    raise CommandError(f"no network is free: all of {wanted} overlap a network in use here")


def find_prefix(client: docker.DockerClient, name: str) -> str:
    """Return the prefix of the network *name*: the present one, else a free one."""
    taken: list[str] = []
    for network in client.networks.list():
        subnets = [c["Subnet"] for c in (network.attrs["IPAM"]["Config"] or []) if "Subnet" in c]
        if network.name == name and subnets:
            return str(subnets[0]).rsplit(".", 1)[0]
        taken += subnets
    return choose_prefix([*taken, *_routes()])


def _routes() -> list[str]:
    """Return the networks that this host has routes to; empty if ``ip`` is missing."""
    try:
        output = subprocess.run(
            ["ip", "-4", "route"], capture_output=True, text=True, check=False
        ).stdout
    except FileNotFoundError:
        return []
    first = [line.split()[0] for line in output.splitlines() if line.split()]
    return [word for word in first if "/" in word]


def check_ports(client: docker.DockerClient, project: str, purposes: Mapping[int, str]) -> None:
    """Refuse to start while another process listens on a port that is needed; names all of them.

    :param project: Compose's name of the containers that may listen there already
    :param purposes: what each port is for
    """
    own = _published_ports(client, project)
    occupied = [
        f"{HOST}:{port} ({purpose})"
        for port, purpose in sorted(purposes.items())
        if port not in own and not is_free(port)
    ]
    if occupied:
        raise CommandError(
            "these addresses are needed and in use by another process: "
            + ", ".join(occupied)
            + "; stop it (find it with: ss -ltnp) and start again"
        )


def is_free(port: int) -> bool:
    """Return whether *port* could be listened on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _published_ports(client: docker.DockerClient, project: str) -> set[int]:
    """Return the ports that the running containers of a Compose project publish."""
    own: set[int] = set()
    query: dict[str, str | list[str] | bool] = {"label": f"com.docker.compose.project={project}"}
    for container in client.containers.list(filters=query):
        for bindings in (container.ports or {}).values():
            own |= {int(binding["HostPort"]) for binding in bindings or []}
    return own
