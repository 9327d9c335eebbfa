"""Back to the source release: fresh nodes, restored database, empty cache, fresh HAProxy."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import docker
from docker.errors import NotFound

from lab import paths
from lab.cloud import balancer, containers, database, nodes, secrets
from lab.data import content, seed
from lab.releases.builds import Build
from lab.topology import NODES, PROJECT, Node
from machine.errors import CommandError
from machine.progress import Report

HAPROXY_CONTAINER = f"{PROJECT}-haproxy"
DEFAULT_ISOLATION = "REPEATABLE-READ"


def reset(
    client: docker.DockerClient,
    build: Build,
    report: Report,
    *,
    stale_nodes: Sequence[Node] = NODES,
    stale_data: bool = True,
) -> None:
    """Reset the lab to *build* after an upgrade.

    Everything is reset, unless the caller knows which nodes are stale, or that the data is not.
    """
    if content.expected_versions(build) is None:
        raise CommandError(
            f"no dump of the data at {build.version} in {content.dump_file(build)}; "
            f"make it with: make lab FROM={build.version}"
        )
    with ThreadPoolExecutor(2) as pool:
        containers = pool.submit(recreate_nodes, client, stale_nodes, report)
        if stale_data:
            _restore(client, build, report)
        containers.result()
    content.empty_caches(client)
    restart_balancer(client)
    content.wait_until_serving(report)


def adopt(client: docker.DockerClient, report: Report) -> None:
    """Make the lab's administrator known to data that somebody loaded from elsewhere.

    With keystone-manage of the source release, which the first node still has.
    """
    # It is not the lab's own data any more.
    paths.PRESENT_SEED.unlink(missing_ok=True)
    with report.step("administrator made known to the data"):
        nodes.keystone_manage(
            client,
            seed.bootstrap_arguments(),
            {"OS_BOOTSTRAP_PASSWORD": secrets.load().keystone_admin},
        )
    content.empty_caches(client)
    content.wait_until_serving(report)


def restart_balancer(client: docker.DockerClient) -> None:
    """Let HAProxy forget which servers were taken out."""
    client.containers.get(HAPROXY_CONTAINER).restart(timeout=1)


def recreate_nodes(client: docker.DockerClient, stale: Sequence[Node], report: Report) -> None:
    """Remove node containers and start them again from the source release's image."""
    if not stale:
        return
    with report.step(f"nodes recreated: {', '.join(node.name for node in stale)}"):
        with ThreadPoolExecutor(len(stale)) as pool:
            list(pool.map(lambda node: _remove(client, node.container), stale))
        containers.run("up", "--detach", "--no-build")


def _remove(client: docker.DockerClient, name: str) -> None:
    try:
        client.containers.get(name).remove(force=True)
    except NotFound:
        return


def _restore(client: docker.DockerClient, build: Build, report: Report) -> None:
    with report.step(f"database restored to {build.version}"):
        database.wait_until_ready()
        content.restore(client, build)
        database.reset_globals()


def differences(client: docker.DockerClient, build: Build) -> list[str]:
    """Return the differences between the running lab and one at *build*."""
    unserving = [
        f"{server.name} is {server.operational}/{server.administrative}"
        for server in balancer.servers()
        if not server.serving
    ]
    stale = node_differences(nodes.read_states(client), build)
    return [*stale.values(), *unserving, *data_differences(build)]


def node_differences(states: Sequence[nodes.NodeState], build: Build) -> dict[Node, str]:
    """Return how each node differs from one that was just made for *build*, if it does."""
    found = {}
    # The nodes read their privileges when they start, and another target needs others.
    sudoers = hashlib.sha256(paths.SUDOERS.read_bytes()).hexdigest()
    for state in states:
        seen = (state.installed, state.running, state.neighbour)
        name = state.node.name
        if seen != (build.version,) * 3:
            found[state.node] = f"{name} has {state.installed or '-'}, runs {state.running or '-'}"
        elif state.sudoers != sudoers:
            found[state.node] = f"{name} has the privileges of another upgrade"
    return found


def data_differences(build: Build) -> list[str]:
    """Return how the database differs from one that was just restored to *build*."""
    found = []
    if content.present() != build.key:
        found.append(f"the database holds the data of {content.present() or 'no release'}")
    versions = database.schema_versions()
    if versions != content.expected_versions(build):
        found.append(f"the schema is at {versions}")
    if database.trust_function_creators() != 0:
        found.append("log_bin_trust_function_creators is not 0")
    if database.transaction_isolation() != DEFAULT_ISOLATION:
        found.append(f"tx_isolation is {database.transaction_isolation()}")
    return found
