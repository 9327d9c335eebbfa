"""The cloud file that the scenarios run with."""

from __future__ import annotations

import json
from pathlib import Path

from keystone_rollout.hooks.files.cloud_file import parse_cloud
from tests.scenarios.scenario_cloud import (
    connection_variable,
    merged,
    scenario_cloud,
    write_cloud,
)


def test_changes_go_as_deep_as_they_are() -> None:
    base = {"a": {"b": {"c": 1, "d": 2}}, "list": [1, 2]}
    assert merged(base, {"a": {"b": {"c": 3}}, "list": [4]}) == {
        "a": {"b": {"c": 3, "d": 2}},
        "list": [4],
    }
    assert base == {"a": {"b": {"c": 1, "d": 2}}, "list": [1, 2]}


def test_the_lab_is_kept_and_its_limits_are_quick() -> None:
    cloud = scenario_cloud()
    assert cloud["name"] == "lab"
    assert cloud["limits"]["node"]["min_ready_servers"] == 2
    assert cloud["limits"]["node"]["drain_seconds"] == 8
    assert cloud["load"]["profile"] == {"rate": 30, "users": 10}


def test_connections_are_replaced_wherever_they_are_named() -> None:
    cloud = scenario_cloud(
        connections={"lab_haproxy": "scenario_haproxy", "lab_keystone_2": "scenario_keystone_2"}
    )
    assert cloud["load_balancers"][0]["connection"] == "scenario_haproxy"
    assert [node["ssh"] for node in cloud["nodes"]] == [
        "lab_keystone_1",
        "scenario_keystone_2",
        "lab_keystone_3",
    ]


def test_what_is_written_is_a_valid_cloud_file(tmp_path: Path) -> None:
    cloud = scenario_cloud({"limits": {"node": {"drain_seconds": 20}}})
    text = (write_cloud(cloud, tmp_path / "clouds") / "lab.yaml").read_text()
    parsed = parse_cloud(text, "lab.yaml")
    assert parsed.limits.node.drain_seconds == 20
    assert parsed.limits.load.baseline_seconds == 5
    assert parsed.load.profile.rate == 30


def test_a_connection_becomes_airflows_variable() -> None:
    variable = connection_variable("scenario_haproxy", {"host": "127.0.0.1", "port": 4711})
    assert list(variable) == ["AIRFLOW_CONN_SCENARIO_HAPROXY"]
    assert json.loads(variable["AIRFLOW_CONN_SCENARIO_HAPROXY"])["port"] == 4711
