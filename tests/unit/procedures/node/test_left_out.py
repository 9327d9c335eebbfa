"""A node that an upgrade marked as out is proven before anybody counts on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_rollout.domain.cloud.model import Cloud, Node
from keystone_rollout.domain.run.events import Recovered
from keystone_rollout.hooks.database.marks import Mark
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.node import left_out
from keystone_rollout.procedures.run.run import RolloutRun


def test_every_marked_node_is_proven_whether_it_serves_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Marks:
        def __init__(self, cloud: Cloud) -> None: ...

        def all(self) -> dict[str, Mark]:
            return {name: Mark("run-0", "killed", "now") for name in ("keystone-1", "keystone-3")}

    class Cycle:
        def __init__(self, run: RolloutRun, node: Node) -> None:
            self.node = node

        def recover(self) -> str:
            if self.node.name == "keystone-3":
                raise RuntimeError("it stays out")
            return f"{self.node.name} was whole"

    # No load balancer is asked: one that was restarted serves what nobody has proven.
    monkeypatch.setattr(left_out, "ServersOut", Marks)
    monkeypatch.setattr(left_out, "node_cycle", Cycle)
    run = RolloutRun(load_cloud("lab"), RunDirectory("run", tmp_path), "return_nodes")
    with pytest.raises(left_out.NodesStayOut) as caught:
        left_out.bring_back(run)
    assert str(caught.value) == ("nodes that stay out of rotation:\n- keystone-3: it stays out")
    assert [event.text for event in run.directory.events(Recovered)] == ["keystone-1 was whole"]
