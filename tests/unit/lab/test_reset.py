"""What has to be replaced to put the lab back, and what may stay."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lab import paths, reset
from lab.cloud.nodes import NodeState
from lab.data import content
from lab.releases.builds import Build, find_release
from lab.topology import NODES

PIKE = Build(find_release("pike"), "2.7", "bullseye")
SUDOERS = "rollout ALL=(root) NOPASSWD: /bin/true\n"
PRESENT = hashlib.sha256(SUDOERS.encode()).hexdigest()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "SUDOERS", tmp_path / "sudoers")
    monkeypatch.setattr(paths, "PRESENT_SEED", tmp_path / "present")
    paths.SUDOERS.write_text(SUDOERS)
    return tmp_path


def test_a_node_as_it_was_made_differs_in_nothing() -> None:
    states = [NodeState(node, "12.0.3", "12.0.3", "12.0.3", PRESENT) for node in NODES]
    assert reset.node_differences(states, PIKE) == {}


def test_only_the_nodes_that_differ_are_named() -> None:
    one, two, three = NODES
    states = [
        NodeState(one, "13.0.4", "13.0.4", "12.0.3", PRESENT),
        NodeState(two, "12.0.3", "12.0.3", "12.0.3", PRESENT),
        NodeState(three, "12.0.3", "12.0.3", "12.0.3", "another"),
    ]
    assert reset.node_differences(states, PIKE) == {
        one: "keystone-1 has 13.0.4, runs 13.0.4",
        three: "keystone-3 has the privileges of another upgrade",
    }
    gone = reset.node_differences([NodeState(two, "", "", "")], PIKE)
    assert gone == {two: "keystone-2 has -, runs -"}


def test_nobody_knows_whose_data_a_database_holds_that_was_never_filled(state: Path) -> None:
    assert content.present() == ""
    (state / "present").write_text("12.0.3-python2.7\n")
    assert content.present() == PIKE.key


def test_each_build_has_data_of_its_own() -> None:
    private = Build(PIKE.release, "2.7", "bullseye", distribution="1a2b")
    assert content.dump_file(PIKE).name == "12.0.3-python2.7.sql.gz"
    assert content.dump_file(private) != content.dump_file(PIKE)
    assert content.stamp_file(private) != content.stamp_file(PIKE)
