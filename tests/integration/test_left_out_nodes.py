"""A node that an upgrade has left out serves again; one that somebody else took out does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from keystone_rollout.domain.run.events import Returned
from keystone_rollout.hooks.database.marks import ServersOut
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.node.left_out import NodesStayOut, return_nodes
from keystone_rollout.procedures.run.run import RolloutRun
from lab.cloud import balancer, database
from lab.topology import BACKEND

pytestmark = pytest.mark.lab

LEFT_OUT, TAKEN_OUT = "keystone-2", "keystone-3"


@pytest.fixture
def run(
    fresh_lab: docker.DockerClient, lab_connections: None, tmp_path: Path
) -> Iterator[RolloutRun]:
    """Return a run; two servers are in maint, and one of them is marked as an upgrade's."""
    cloud = load_cloud("lab")
    database.execute("DROP DATABASE IF EXISTS keystone_rollout")
    run = RolloutRun(cloud, RunDirectory("run-1", tmp_path), "return_nodes")
    ServersOut(cloud).mark(LEFT_OUT, "run-0", "an attempt that was killed")
    for server in (LEFT_OUT, TAKEN_OUT):
        balancer.command(f"set server {BACKEND}/{server} state maint")
    yield run
    for server in (LEFT_OUT, TAKEN_OUT):
        balancer.command(f"set server {BACKEND}/{server} state ready")
    database.execute("DROP DATABASE IF EXISTS keystone_rollout")


def administrative_states() -> dict[str, str]:
    return {server.name: server.administrative for server in balancer.servers()}


def test_only_what_an_upgrade_left_out_comes_back(run: RolloutRun) -> None:
    done = return_nodes(run)
    assert done == [f"{LEFT_OUT} was whole (12.0.3 running) and is ready and UP again"]
    assert administrative_states() == {
        "keystone-1": "ready",
        LEFT_OUT: "ready",
        TAKEN_OUT: "maint",
    }
    assert ServersOut(run.cloud).all() == {}
    assert [event.text for event in run.directory.events(Returned)] == done
    assert return_nodes(run) == [], "nothing is left to be done"


def test_a_node_that_cannot_be_reached_is_named(
    run: RolloutRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAB_HAPROXY", "http://127.0.0.1:1")
    with pytest.raises(NodesStayOut, match=f"{LEFT_OUT}: .*does not answer"):
        return_nodes(run)
    assert LEFT_OUT in ServersOut(run.cloud).all(), "its mark stays for the next run"
