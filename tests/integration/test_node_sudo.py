"""The lab's nodes allow what the steps do, and nothing else."""

from __future__ import annotations

import docker
import pytest

from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.node.machine import NodeMachine
from lab import paths
from lab.cloud.nodes import SUDOERS
from lab.topology import NODES
from machine import engine

pytestmark = pytest.mark.lab

FORBIDDEN = [
    "/bin/bash",
    "/bin/cat /etc/shadow",
    "/bin/cat /etc/keystone/../shadow",
    "/bin/cat /etc/keystone/keystone.conf /etc/shadow",
    "/usr/bin/sha256sum /etc/keystone/fernet-keys/0/../../keystone.conf",
    "/usr/bin/sha256sum /etc/keystone/fernet-keys/1234",
    "/usr/bin/apt-get install -y keystone",
    "/usr/bin/apt-get update",
    "/usr/bin/dpkg --configure keystone",
    "/usr/bin/dpkg -i /tmp/any.deb",
    "/usr/bin/install -m 4755 /bin/bash /tmp/bash",
    "/usr/bin/install -m 0640 -o root -g keystone /etc/shadow /etc/keystone/keystone.conf",
    "/usr/bin/tee /etc/sudoers.d/more",
    "/usr/sbin/service keystone restart",
    "/usr/sbin/service ssh stop",
]


@pytest.mark.parametrize("name", [node.name for node in NODES])
def test_the_account_may_do_what_the_steps_do_and_no_more(name: str, lab_connections: None) -> None:
    cloud = load_cloud("lab")
    machine = NodeMachine(cloud, cloud.node(name))
    assert machine.missing_privileges() == []
    asked = "; ".join(f"sudo -n -l {each} >/dev/null 2>&1 && echo '{each}'" for each in FORBIDDEN)
    assert machine.place.run(f"{asked}; true", limit=30).output == ""


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_only_root_can_change_the_file(node: object, lab: docker.DockerClient) -> None:
    container = lab.containers.get(node.container)  # type: ignore[attr-defined]
    command = ["stat", "-c", "%a %U %G", SUDOERS]
    assert engine.execute(container, command) == (0, "440 root root\n")
    assert engine.execute(container, ["cat", SUDOERS]) == (0, paths.SUDOERS.read_text())
    others = engine.execute(container, ["ls", "/etc/sudoers.d"])[1].split()
    assert sorted(others) == ["README", "keystone-rollout"]
