"""A node of the lab keeps what it has fetched, as a real one does: going back needs it."""

from __future__ import annotations

import docker
import pytest

from lab.topology import NODES
from machine import engine

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("name", [node.container for node in NODES])
def test_nothing_removes_fetched_packages(name: str, lab: docker.DockerClient) -> None:
    status, settings = engine.execute(lab.containers.get(name), ["apt-config", "dump"])
    assert status == 0
    hooks = [line for line in settings.splitlines() if "Post-Invoke" in line]
    assert [line for line in hooks if "archives" in line] == []
