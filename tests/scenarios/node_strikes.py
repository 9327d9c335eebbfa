"""Faults of nodes: containers that die, stop or hang, packages and configuration that are wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from docker.models.containers import Container

from tests.scenarios import moments
from tests.scenarios.held_session import held_session
from tests.scenarios.lab_nodes import (
    SERVE_SECONDS,
    SOURCE,
    TARGET,
    answers_ssh,
    is_drained,
    node,
    on_node,
    release_of,
    serves,
)
from tests.scenarios.scene import Scene, failed_requests, wait_for

STAGED = f"/home/rollout/keystone-rollout/{TARGET}/keystone.conf"
OTHER_KEYS = "/etc/keystone/scenario-keys"
PAUSE_SECONDS = 4.0
LOCKED_SECONDS = 8


@contextmanager
def repository_unreachable(scene: Scene) -> Iterator[None]:
    """Let keystone-2 find nobody where the package repository was.

    /etc/hosts is mounted into the container: it can be written, but not replaced.
    """
    before = "/tmp/scenario-hosts"
    on_node(
        scene.client,
        2,
        f"cp /etc/hosts {before}\n"
        f"sed -E 's/^[0-9.]+([[:space:]]+packages)$/127.0.0.1\\1/' {before} > /etc/hosts\n"
        "grep -qE '^127.0.0.1[[:space:]]+packages$' /etc/hosts",
    )
    try:
        yield
    finally:
        on_node(scene.client, 2, f"cat {before} > /etc/hosts; rm {before}")


def repository_is_back(scene: Scene) -> list[str]:
    """Return a finding unless keystone-2's package source is the old release's again."""
    found = release_of(scene.client, 2)
    return [] if found == SOURCE else [f"keystone-2 fetches packages of {found}, not {SOURCE}"]


@contextmanager
def staged_configuration(scene: Scene, expression: str, prepare: str = ":") -> Iterator[None]:
    """Change what was staged on keystone-1 as its configuration for the target release."""
    on_node(
        scene.client,
        1,
        f"{prepare}\ncp -p {STAGED} {STAGED}.before\nsed -i '{expression}' {STAGED}\n"
        f"! cmp -s {STAGED} {STAGED}.before",
    )
    try:
        yield
    finally:
        on_node(scene.client, 1, f"mv {STAGED}.before {STAGED}; rm -rf {OTHER_KEYS}")


@contextmanager
def bad_configuration(scene: Scene) -> Iterator[None]:
    """Let the target release's configuration name an account that the database does not know."""
    with staged_configuration(scene, r"s#//keystone:[^@]*@#//nobody@#"):
        yield


@contextmanager
def other_keys(scene: Scene) -> Iterator[None]:
    """Let the target release's configuration name a key repository with keys of its own."""
    key = "head -c 32 /dev/urandom | base64 | tr +/ -_"
    prepare = (
        f"install -d -o keystone -g keystone -m 0700 {OTHER_KEYS}\n"
        f"for key in 0 1; do {key} > {OTHER_KEYS}/$key; done\n"
        f"chown keystone:keystone {OTHER_KEYS}/*; chmod 0600 {OTHER_KEYS}/*"
    )
    expression = f"s#^key_repository = /etc/keystone/fernet-keys#key_repository = {OTHER_KEYS}#"
    with staged_configuration(scene, expression, prepare):
        yield


@contextmanager
def session_dropped_during_install(scene: Scene) -> Iterator[None]:
    """Cut the SSH connection of keystone-2 while packages are unpacked there."""
    container = scene.client.containers.get(node(2).container)
    scene.wait_for("an installation on keystone-2", lambda: _installs(container), 20)
    scene.lines.ssh.cut()
    try:
        time.sleep(1)
    finally:
        scene.lines.ssh.restore()
    scene.until(moments.node(node(2).name, "up"), 180)
    yield


def _installs(container: Container) -> bool:
    processes = container.top(ps_args="-eo pid,args")["Processes"] or []
    return any("dpkg" in words[-1] and "--unpack" in words[-1] for words in processes)


@contextmanager
def another_node_dies_while_one_drains(scene: Scene) -> Iterator[None]:
    """Kill keystone-3 while keystone-1 is drained, and nothing is stopped there yet.

    A session keeps keystone-1 draining until HAProxy has noticed that keystone-3 is gone.
    """
    with ExitStack() as undo:
        with held_session(node(1).name):
            scene.wait_for("keystone-1 drains", lambda: is_drained(1), 120)
            undo.enter_context(_killed(scene, 3, lambda: serves(3)))
            wait_for("HAProxy has noticed", lambda: not serves(3), 15)
        yield


@contextmanager
def node_dies_between_stop_and_start(scene: Scene) -> Iterator[None]:
    """Kill keystone-1 while it is installed; the operator starts it when the run has ended."""
    with _killed(scene, 1, lambda: answers_ssh(1)):
        yield


@contextmanager
def _killed(scene: Scene, number: int, back: Callable[[], bool]) -> Iterator[None]:
    container = scene.client.containers.get(node(number).container)
    container.kill()
    try:
        yield
    finally:
        container.start()
        wait_for(f"{node(number).name} is back", back, SERVE_SECONDS)


@contextmanager
def requests_fail_between_two_nodes(scene: Scene) -> Iterator[None]:
    """Restart keystone-3's service without drain: its clients get errors.

    The next step comes within a second of them: too soon for a sample that holds them.
    """
    with scene.standing_still():
        on_node(scene.client, 3, "service keystone stop; service keystone start")
        wait_for("a failed request", lambda: failed_requests(scene.run.directory) > 0, 15)
    yield


@contextmanager
def package_replaced_without_a_restart(scene: Scene) -> Iterator[None]:
    """Put the target's package on keystone-3, whose service was started with a clock ahead.

    A container has no clock of its own, so the date of the start is what such a clock leaves.
    """
    new = f"/var/cache/apt/archives/keystone_{TARGET}-1_*.deb"
    install = f"dpkg -i --force-confold {new}\nsleep 1\ntouch -c /run/keystone/keystone.pid"
    with scene.standing_still():
        on_node(scene.client, 3, install)
    yield


@contextmanager
def packages_locked(scene: Scene) -> Iterator[None]:
    """Let another process work on keystone-2's packages, as unattended upgrades do."""
    code = "import fcntl, time; file = open('/var/lib/dpkg/lock-frontend', 'w')\n"
    code += f"fcntl.lockf(file, fcntl.LOCK_EX); time.sleep({LOCKED_SECONDS})"
    on_node(scene.client, 2, f'nohup python3 -c "{code}" >/dev/null 2>&1 &')
    # What a step prints gets into the log at its end only.
    printed = "cat /home/rollout/keystone-rollout/stderr || true"
    scene.wait_for(
        "an install waits",
        lambda: "by another process" in on_node(scene.client, 2, printed),
        SERVE_SECONDS,
    )
    yield


@contextmanager
def nodes_hang(scene: Scene) -> Iterator[None]:
    """Pause the two nodes that serve, for less than a health check waits.

    One alone would not show: the load balancer sends to whoever has the fewest requests.
    """
    with ExitStack() as undo:
        for number in (1, 3):
            container = scene.client.containers.get(node(number).container)
            container.pause()
            undo.callback(container.unpause)
        time.sleep(PAUSE_SECONDS)
    yield
