"""Bring the lab up: make its missing parts, start it, leave it at the source release."""

import json
import time
from collections.abc import Container
from concurrent.futures import Future, ThreadPoolExecutor

import docker

from lab import hop, paths, reset
from lab.cloud import (
    balancer,
    configuration,
    connections,
    containers,
    database,
    keys,
    nodes,
    secrets,
)
from lab.data import content
from lab.hop import Hop
from lab.releases import images, packages
from lab.releases.builds import Build
from lab.topology import MEMCACHED, MEMCACHED_TARGET, NETWORK, NODES, PORTS, PROJECT, Node
from machine import engine, network
from machine import images as machine_images
from machine.errors import CommandError
from machine.progress import Report

SETTLE_S = 10.0
"""Seconds in which a node that was stopped, and started again, has to run Keystone."""


def up(wanted: Hop, report: Report) -> None:
    """Start the lab at the source release with everything an upgrade to the target needs."""
    client = engine.connect()
    network.check_ports(client, PROJECT, PORTS)
    prepare_state(client, wanted)
    with ThreadPoolExecutor(3) as pool:
        target_ready = make_parts(client, wanted, pool, report)
        start_at_source(client, wanted.source, report)
        target_ready.result()
    cache = ", which has a memcached of its own" if wanted.own_cache else ""
    report.line(
        f"the lab serves keystone {wanted.source.version} on http://127.0.0.1:5000/v3, "
        f"target {wanted.target.version}{cache}; statistics on http://127.0.0.1:8404/"
    )
    params = {"source": wanted.source.version, "target": wanted.target.version}
    report.line(
        "upgrade it with: source lab/activate && airflow dags test keystone_upgrade -c "
        f"'{json.dumps({**params, 'auto_approve': True})}'"
    )


def prepare_state(client: docker.DockerClient, wanted: Hop) -> None:
    """Write passwords, keys, configurations, connections and Compose's variables."""
    paths.make_state_directories()
    passwords = secrets.ensure()
    keys.ensure_keys()
    for build in wanted.builds:
        configuration.write_configuration(wanted, build, passwords)
    configuration.write_sudoers(wanted.source.release, wanted.target.release)
    configuration.write_accounts(passwords)
    connections.write_connections(passwords)
    prefix = network.find_prefix(client, NETWORK)
    containers.write_environment(wanted.source.version, prefix)
    packages.serve(wanted.builds)
    hop.keep(wanted)


def make_parts(
    client: docker.DockerClient, wanted: Hop, pool: ThreadPoolExecutor, report: Report
) -> Future[None]:
    """Make images and packages; those that only the target needs are made while the lab starts.

    Returns the future of the target's part.
    """
    source, target = wanted.builds
    for suite in sorted({"bookworm", source.suite}):
        machine_images.ensure_base(client, suite, report)
    builder = pool.submit(machine_images.ensure_image, client, images.builder(source.suite), report)
    others = pool.submit(_make_services_and_bare_node, client, source.suite, report)
    builder.result()
    packages.ensure_repository(client, source, report)
    others.result()
    containers.run(
        "up", "--detach", "--no-build", "packages", "database", MEMCACHED, MEMCACHED_TARGET
    )
    images.ensure_node(client, source, report)
    return pool.submit(_make_target, client, target, report)


def _make_services_and_bare_node(client: docker.DockerClient, suite: str, report: Report) -> None:
    for image in (*images.SERVICES, images.runtime(suite), images.bare_node(suite)):
        machine_images.ensure_image(client, image, report)


def _make_target(client: docker.DockerClient, target: Build, report: Report) -> None:
    packages.ensure_repository(client, target, report)
    images.ensure_upgrade(client, target, report)


def start_at_source(client: docker.DockerClient, source: Build, report: Report) -> None:
    """Start every container and make sure that the lab stands at *source*.

    Only parts that do not are replaced: the nodes of another upgrade, the data of another release.
    """
    before = _node_ids(client)
    with report.step("containers"):
        containers.run("up", "--detach", "--no-build")
        database.wait_until_ready()
    made_now = {name for name, id_ in _node_ids(client).items() if before.get(name) != id_}
    stale = _settled_differences(client, source, made_now)
    if content.expected_versions(source) is None:
        reset.recreate_nodes(client, tuple(stale), report)
        reset.restart_balancer(client)
        content.create(client, source, report)
        return
    data, out = reset.data_differences(source), _out_of_rotation()
    if not (stale or data or out):
        content.wait_until_serving(report)
        return
    found = "; ".join([*stale.values(), *data, *out])
    report.line(f"not at the source release, so resetting: {found}")
    reset.reset(client, source, report, stale_nodes=tuple(stale), stale_data=bool(data))


def _node_ids(client: docker.DockerClient) -> dict[str, str]:
    """Return the id of each node's container by its name, also of one that is stopped."""
    names = {node.container for node in NODES}
    found = client.containers.list(all=True)
    return {str(each.name): str(each.id) for each in found if each.name in names}


def _out_of_rotation() -> list[str]:
    """Return which servers somebody took out; one that is DOWN may only be starting."""
    try:
        servers = balancer.servers()
    except CommandError as error:
        return [str(error)]
    return [
        f"{server.name} is in {server.administrative}"
        for server in servers
        if server.administrative != "ready"
    ]


def _settled_differences(
    client: docker.DockerClient, source: Build, made_now: Container[str]
) -> dict[Node, str]:
    """Return the nodes that differ from *source*; one that is starting gets some time."""
    asked = [node for node in NODES if node.container not in made_now]
    deadline = time.monotonic() + SETTLE_S
    while True:
        states = [nodes.read_state(client, node) for node in asked]
        found = reset.node_differences(states, source)
        starting = [state for state in states if state.installed and not state.running]
        if not (found and starting) or time.monotonic() > deadline:
            return found
        time.sleep(0.3)
