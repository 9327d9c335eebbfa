"""Bring the lab up: make what is missing, start it, leave it at the source release."""

import json
from concurrent.futures import Future, ThreadPoolExecutor

import docker

from lab import (
    catalogue,
    compose,
    configuration,
    connections,
    content,
    database,
    engine,
    images,
    keys,
    network,
    packages,
    paths,
    reset,
    secrets,
)
from lab.catalogue import Release
from lab.errors import LabError
from lab.progress import Report


def up(source_name: str, target_name: str, report: Report) -> None:
    """Start the lab at the source release with everything an upgrade to the target needs."""
    source, target = (catalogue.find_release(name) for name in (source_name, target_name))
    catalogue.check_pair(source, target)
    client = engine.connect()
    network.check_ports(client)
    prepare_state(client, source, target)
    with ThreadPoolExecutor(3) as pool:
        target_ready = make_parts(client, source, target, pool, report)
        start_at_source(client, source, report)
        target_ready.result()
    report.line(
        f"the lab serves keystone {source.version} on http://127.0.0.1:5000/v3, "
        f"target {target.version}; statistics on http://127.0.0.1:8404/"
    )


def prepare_state(client: docker.DockerClient, source: Release, target: Release) -> None:
    """Write passwords, keys, configurations, connections and Compose's variables."""
    paths.make_state_directories()
    passwords = secrets.ensure()
    keys.ensure_keys()
    for release in (source, target):
        configuration.write_configuration(release, passwords, mixed_with_older=source.major < 12)
    configuration.write_sudoers(source, target)
    configuration.write_accounts(passwords)
    connections.write_connections(passwords)
    compose.write_environment(source.version, network.find_prefix(client))
    paths.LAB.write_text(json.dumps({"source": source.version, "target": target.version}) + "\n")


def make_parts(
    client: docker.DockerClient,
    source: Release,
    target: Release,
    pool: ThreadPoolExecutor,
    report: Report,
) -> Future[None]:
    """Make images and packages; what only the target needs is made while the lab starts.

    Returns the future of the target's part.
    """
    suite = source.suite
    for wanted in sorted({"bookworm", suite}):
        images.ensure_base(client, wanted, report)
    builder = pool.submit(images.ensure_image, client, images.builder(suite), report)
    others = pool.submit(_make_services_and_bare_node, client, suite, report)
    builder.result()
    packages.ensure_repository(client, source, report)
    others.result()
    compose.run("up", "--detach", "--no-build", "packages", "database", "memcached")
    images.ensure_node(client, source, report)
    return pool.submit(_make_target, client, target, report)


def _make_services_and_bare_node(client: docker.DockerClient, suite: str, report: Report) -> None:
    for image in (*images.SERVICES, images.runtime(suite), images.bare_node(suite)):
        images.ensure_image(client, image, report)


def _make_target(client: docker.DockerClient, target: Release, report: Report) -> None:
    packages.ensure_repository(client, target, report)
    images.ensure_upgrade(client, target, report)


def start_at_source(client: docker.DockerClient, source: Release, report: Report) -> None:
    """Start every container and make sure that the lab stands at *source*."""
    with report.step("containers"):
        compose.run("up", "--detach", "--no-build")
        database.wait_until_ready()
    if content.expected_versions(source) is None:
        content.create(client, source, report)
        return
    if database.schema_versions() == content.expected_versions(source):
        content.wait_until_serving(report)
    found = reset.differences(client, source)
    if found:
        report.line("not at the source release, so resetting: " + "; ".join(found))
        reset.reset(client, source, report)


def current_releases() -> tuple[Release, Release]:
    """Return source and target of the lab that was set up."""
    if not paths.LAB.exists():
        raise LabError("the lab was never started here; run make lab first")
    content_ = json.loads(paths.LAB.read_text())
    return (
        catalogue.find_release(content_["source"]),
        catalogue.find_release(content_["target"]),
    )
