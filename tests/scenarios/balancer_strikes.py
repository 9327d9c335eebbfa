"""Faults of the load balancer: unreachable, with sessions that stay, with a server nobody knows."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import docker

from lab.cloud import balancer
from lab.topology import BACKEND, LABELS, NETWORK, PROJECT
from tests.scenarios import moments
from tests.scenarios.fault import Preparation
from tests.scenarios.held_session import held_session
from tests.scenarios.lab_nodes import (
    INSTALL_SECONDS,
    SERVE_SECONDS,
    SOURCE,
    is_drained,
    node,
    on_node,
    remove_container,
    serves,
    sessions,
)
from tests.scenarios.scene import Scene, wait_for

UNKNOWN = "keystone-4"
UNKNOWN_CONTAINER = f"{PROJECT}-scenario-{UNKNOWN}"


@contextmanager
def haproxy_gone_before_drain(scene: Scene) -> Iterator[None]:
    """Let HAProxy's runtime API be unreachable from the start of keystone-1's cycle."""
    scene.lines.haproxy.cut()
    try:
        scene.until(moments.step(node(1).name, "failed"), 60)
    finally:
        scene.lines.haproxy.restore()
    yield


@contextmanager
def haproxy_gone_after_drain(scene: Scene) -> Iterator[None]:
    """Let HAProxy's runtime API be unreachable for some seconds while keystone-1 drains."""
    with held_session(node(1).name):
        scene.wait_for("keystone-1 drains", lambda: is_drained(1), 120)
        scene.lines.haproxy.cut()
        try:
            time.sleep(3)
        finally:
            scene.lines.haproxy.restore()
        yield


@contextmanager
def session_that_does_not_end(scene: Scene) -> Iterator[None]:
    """Hold a client's session with keystone-1 open, longer than the upgrade waits."""
    with held_session(node(1).name):
        yield


@contextmanager
def next_server_is_taken_out(scene: Scene) -> Iterator[None]:
    """Set keystone-3, which comes next, to maint, as somebody who repairs that machine would."""
    server = f"{BACKEND}/{node(3).name}"
    balancer.command(f"set server {server} state maint")
    try:
        yield
    finally:
        balancer.command(f"set server {server} state ready")
        wait_for("the server serves again", lambda: serves(3), SERVE_SECONDS)


@contextmanager
def stopped_server_is_set_ready(scene: Scene) -> Iterator[None]:
    """Set keystone-1 ready while its service is stopped, as somebody who sees it out might."""
    balancer.command(f"set server {BACKEND}/{node(1).name} state ready")
    scene.until(moments.node(node(1).name, "started"), INSTALL_SECONDS)
    yield


@contextmanager
def haproxy_is_reloaded(scene: Scene) -> Iterator[None]:
    """Let HAProxy's master make a new worker while keystone-2 is stopped: it forgets its states."""
    scene.client.containers.get(f"{PROJECT}-haproxy").kill("SIGUSR2")
    scene.until(moments.node(node(2).name, "started"), INSTALL_SECONDS)
    yield


@contextmanager
def unknown_node_runs(preparation: Preparation) -> Iterator[None]:
    """Run a fourth node of the old release, which no cloud file and no HAProxy knows."""
    template = preparation.client.containers.get(node(2).container)
    remove_container(preparation.client, UNKNOWN_CONTAINER)
    mounts = [one for one in template.attrs["Mounts"] if one["Type"] == "bind"]
    hosts = template.attrs["HostConfig"]["ExtraHosts"]
    container = preparation.client.containers.run(
        f"keystone-rollout/node:{SOURCE}",
        detach=True,
        name=UNKNOWN_CONTAINER,
        hostname=UNKNOWN,
        init=True,
        labels=LABELS,
        extra_hosts=dict(re.split("[:=]", one, maxsplit=1) for one in hosts),
        volumes={one["Source"]: {"bind": one["Destination"], "mode": "ro"} for one in mounts},
        network=NETWORK,
    )
    try:
        yield
    finally:
        container.remove(force=True)


@contextmanager
def unknown_server_and_old_node(scene: Scene) -> Iterator[None]:
    """Add a server of the old release to the backend, and take keystone-1 back by hand.

    Both while keystone-3 is out, after the last look at capacity and before the nodes are
    verified. The unknown server comes first, so that two of them serve all the time.
    """
    with _unknown_server(scene.client), _old_release_by_hand(scene.client, 1):
        yield


@contextmanager
def _unknown_server(client: docker.DockerClient) -> Iterator[None]:
    networks = client.containers.get(UNKNOWN_CONTAINER).attrs["NetworkSettings"]["Networks"]
    server = f"{BACKEND}/{UNKNOWN}"
    try:
        address = networks[NETWORK]["IPAddress"]
        balancer.command(f"add server {server} {address}:5000 check inter 1s fall 2 rise 2")
        balancer.command(f"enable health {server}")
        balancer.command(f"enable server {server}")
        wait_for(f"{UNKNOWN} serves", lambda: _sees(UNKNOWN, "UP"), 15)
        yield
    finally:
        # HAProxy removes only a server in maintenance, and none that has sessions.
        balancer.command(f"set server {server} state maint")
        wait_for(f"{UNKNOWN} has no sessions", lambda: sessions(UNKNOWN) == 0, 15)
        balancer.command(f"del server {server}")


@contextmanager
def _old_release_by_hand(client: docker.DockerClient, number: int) -> Iterator[None]:
    """Take a node out, and put the old package on it, as somebody who knows no better would."""
    server = f"{BACKEND}/{node(number).name}"
    old = f"dpkg -i --force-confold /var/cache/apt/archives/keystone_{SOURCE}-1_*.deb"
    start = (
        "install -m 0640 -o root -g keystone /lab/etc/keystone.conf /etc/keystone/keystone.conf\n"
        "service keystone start"
    )
    balancer.command(f"set server {server} state drain")
    wait_for("the drained server has no sessions", lambda: not sessions(node(number).name), 15)
    balancer.command(f"set server {server} state maint")
    on_node(client, number, "service keystone stop")
    with ThreadPoolExecutor(1) as pool:
        installed = pool.submit(on_node, client, number, old)
        try:
            yield
        finally:
            # Whoever did it undoes it: no upgrade took this server out.
            installed.result()
            on_node(client, number, start)
            balancer.command(f"set server {server} state ready")
            wait_for("the server serves again", lambda: serves(number), SERVE_SECONDS)


def _sees(server: str, operational: str) -> bool:
    return any(one.name == server and one.operational == operational for one in balancer.servers())
