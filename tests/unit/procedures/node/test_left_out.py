"""A node that an upgrade marked as out is proven before anybody counts on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_rollout.domain.cloud.model import Node
from keystone_rollout.domain.run.events import Returned
from keystone_rollout.domain.run.lock import Mark
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.node import left_out
from keystone_rollout.procedures.run.run import RolloutRun
from tests.stand_ins.systems import run_with


def test_every_marked_node_is_proven_whether_it_serves_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Marks:
        def all(self) -> dict[str, Mark]:
            return {name: Mark("run-0", "killed", "now") for name in ("keystone-1", "keystone-3")}

    class Cycle:
        def __init__(self, run: RolloutRun, node: Node) -> None:
            self.node = node

        def return_left_out(self) -> str:
            if self.node.name == "keystone-3":
                raise RuntimeError("it stays out")
            return f"{self.node.name} was whole"

    # No load balancer is asked: one that was restarted serves what nobody has proven.
    monkeypatch.setattr(left_out, "node_cycle", Cycle)
    run = run_with(load_cloud("lab"), tmp_path, marks=Marks())
    with pytest.raises(left_out.NodesStayOut) as caught:
        left_out.return_nodes(run)
    assert str(caught.value) == ("nodes that stay out of rotation:\n- keystone-3: it stays out")
    assert [event.text for event in run.directory.events(Returned)] == ["keystone-1 was whole"]
