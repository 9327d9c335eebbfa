"""The cloud file's model: its own names, and what does not fit together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from keystone_rollout.domain.cloud.model import Inconsistency, cloud_from_data, inconsistencies
from keystone_rollout.hooks.files.cloud_file import load_cloud


def test_a_node_is_found_by_its_name() -> None:
    cloud = load_cloud("lab")
    assert cloud.node("keystone-2").server == "keystone-2"
    with pytest.raises(KeyError, match="no node 'keystone-9' in cloud lab; it has") as caught:
        cloud.node("keystone-9")
    assert "['keystone-1', 'keystone-2', 'keystone-3']" in str(caught.value)


def test_a_model_made_without_a_file_is_checked_just_the_same() -> None:
    data = load_cloud("lab").model_dump(by_alias=True)
    assert cloud_from_data(data) == load_cloud("lab")
    data["nodes"][1]["url"] = data["nodes"][0]["url"]
    with pytest.raises(ValidationError, match="is there more than once"):
        cloud_from_data(data)


def test_nothing_is_said_about_a_good_cloud() -> None:
    assert inconsistencies(load_cloud("lab").model_dump(by_alias=True)) == []


@pytest.mark.parametrize("key", ["name", "ssh", "server", "url"])
def test_nodes_may_share_nothing(key: str) -> None:
    data = load_cloud("lab").model_dump(by_alias=True)
    data["nodes"][2][key] = data["nodes"][0][key]
    assert [found.location for found in inconsistencies(data)] == [("nodes", 2, key)]


def test_capacity_follows_the_limit() -> None:
    data = load_cloud("lab").model_dump(by_alias=True)
    data["limits"]["node"]["min_ready_servers"] = 3
    assert inconsistencies(data) == [
        Inconsistency(
            ("nodes",),
            "read 3 (keystone-1, keystone-2, keystone-3); at least 4 are needed, so that one can "
            "be out while the others serve",
        )
    ]


@pytest.mark.parametrize(
    ("key", "source", "target", "held"),
    [
        ("auto", "10.0.3", "11.0.4", True),
        ("auto", "12.0.3", "13.0.4", False),
        ("always", "12.0.3", "13.0.4", True),
        ("never", "10.0.3", "11.0.4", False),
    ],
)
def test_read_committed_is_held_where_the_file_or_the_hop_asks_for_it(
    key: str, source: str, target: str, held: bool
) -> None:
    data = load_cloud("lab").model_dump(by_alias=True)
    cloud = cloud_from_data({**data, "read_committed": key, "source": source, "target": target})
    assert cloud.holds_read_committed is held


def test_the_guards_limits_have_defaults_and_bounds() -> None:
    data = load_cloud("lab").model_dump(by_alias=True)
    limits = cloud_from_data({**data, "limits": {}}).limits
    assert (limits.lock_wait_timeout, limits.phase_seconds) == (5, 3600)
    for key in ("lock_wait_timeout", "phase_seconds"):
        with pytest.raises(ValidationError, match="greater than or equal to 1"):
            cloud_from_data({**data, "limits": {key: 0}})


def test_what_is_not_there_is_left_to_the_model() -> None:
    assert inconsistencies({}) == []
    assert inconsistencies({"source": 12, "target": None, "nodes": None, "limits": "none"}) == []
