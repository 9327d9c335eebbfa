"""Back to the source release: fresh nodes, restored database, empty cache, fresh HAProxy."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import docker
from docker.errors import NotFound

from lab import balancer, compose, content, database, nodes, paths
from lab.catalogue import Release
from lab.errors import LabError
from lab.progress import Report
from lab.topology import MEMCACHED_CONTAINER, NODES, PROJECT

HAPROXY_CONTAINER = f"{PROJECT}-haproxy"


def reset(client: docker.DockerClient, release: Release, report: Report) -> None:
    """Put the whole lab back to *release*, whatever an upgrade did to it."""
    if content.expected_versions(release) is None:
        raise LabError(
            f"no dump of the data at {release.version} in {content.dump_file(release)}; "
            f"make it with: make lab FROM={release.version}"
        )
    with ThreadPoolExecutor(2) as pool:
        containers = pool.submit(recreate_nodes, client, report)
        restored = pool.submit(_restore, client, release, report)
        restored.result()
        containers.result()
    restart_caches_and_balancer(client)
    content.wait_until_serving(report)


def restart_caches_and_balancer(client: docker.DockerClient) -> None:
    """Empty memcached, and let HAProxy forget which servers were taken out."""
    for name in (MEMCACHED_CONTAINER, HAPROXY_CONTAINER):
        client.containers.get(name).restart(timeout=1)


def recreate_nodes(client: docker.DockerClient, report: Report) -> None:
    """Remove the node containers and start them again from the source release's image."""
    with report.step("nodes recreated"):
        with ThreadPoolExecutor(len(NODES)) as pool:
            list(pool.map(lambda node: _remove(client, node.container), NODES))
        compose.run("up", "--detach", "--no-build")


def _remove(client: docker.DockerClient, name: str) -> None:
    try:
        client.containers.get(name).remove(force=True)
    except NotFound:
        return


def _restore(client: docker.DockerClient, release: Release, report: Report) -> None:
    with report.step(f"database restored to {release.version}"):
        database.wait_until_ready()
        database.restore(client, content.dump_file(release))
        database.restore_globals()


def differences(client: docker.DockerClient, release: Release) -> list[str]:
    """Return in what the running lab differs from one that stands at *release*."""
    found = []
    # The nodes take their privileges over when they start, and another target needs others.
    sudoers = hashlib.sha256(paths.SUDOERS.read_bytes()).hexdigest()
    for state in nodes.read_states(client):
        seen = (state.installed, state.running, state.neighbour)
        if seen != (release.version,) * 3:
            found.append(f"{state.node.name} has {state.installed}, runs {state.running}")
        elif state.sudoers != sudoers:
            found.append(f"{state.node.name} has the privileges of another upgrade")
    for server in balancer.servers():
        if not server.serves:
            found.append(f"{server.name} is {server.operational}/{server.administrative}")
    versions = database.schema_versions()
    if versions != content.expected_versions(release):
        found.append(f"the schema is at {versions}")
    if database.trust_function_creators() != 0:
        found.append("log_bin_trust_function_creators is not 0")
    return found
