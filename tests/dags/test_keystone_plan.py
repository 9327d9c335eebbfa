"""Check the plan's wiring: nothing in it changes a cloud, and it is red where anything is open."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.providers.ssh.operators.ssh import SSHOperator
from airflow.sdk import DAG

ROOT = Path(__file__).resolve().parents[2]
READS = ["read_migrations", "read_schema", "read_nodes", "estimate_steps"]


@pytest.fixture(scope="module")
def dag(dags: dict[str, DAG]) -> DAG:
    return dags["keystone_plan"]


def test_it_reads_part_by_part_and_then_writes(dag: DAG) -> None:
    assert {task.task_id for task in dag.tasks} == {"plan", *READS, "write_plan"}
    for name in READS:
        task = dag.get_task(name)
        assert task.upstream_task_ids == {"plan"}
        assert task.downstream_task_ids == {"write_plan"}


def test_none_of_the_operators_that_change_a_cloud_is_in_it(dag: DAG) -> None:
    changing: set[str] = set()
    for path in ("keystone_upgrade", "keystone_rollback", "keystone_restore"):
        tree = ast.parse((ROOT / "dags" / f"{path}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("operators"):
                changing |= {alias.name for alias in node.names}
    assert {"TakeLockOperator", "PhaseOperator", "UpgradeNodeOperator"} <= changing
    for task in dag.tasks:
        assert type(task).__name__ not in changing
        assert type(task).__module__ == "operators.plan_parts"
        assert not isinstance(task, DockerOperator | SSHOperator)
        assert not getattr(task, "needs_lock", False)
        assert not task.is_setup
        assert not task.is_teardown
        assert task.on_failure_callback in (None, [], ())


def test_no_module_behind_it_takes_a_lock_sets_a_variable_or_starts_a_load() -> None:
    forbidden = {"gate", "variables", "session", "container", "servers"}
    for name in ("operators/plan_parts", "procedures/plan/reader", "procedures/plan/file",
                 "hooks/files/run_directory", "hooks/database/keystone"):  # fmt: skip
        folder = ROOT / "plugins" / ("" if name.startswith("operators") else "keystone_rollout")
        tree = ast.parse((folder / f"{name}.py").read_text())
        imported = {
            (node.module or "").split(".")[-1]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
        }
        assert not imported & forbidden, name


def test_it_may_run_beside_an_upgrade(dag: DAG) -> None:
    assert dag.schedule is None
    assert set(dag.params) == {"cloud", "source", "target"}
    assert {task.pool for task in dag.tasks} == {"default_pool"}


def test_a_wrong_cloud_is_red_and_says_so(
    dag: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path))
    run = dag.test(run_conf={"cloud": "lab"})
    assert run.state == "failed"
    states = {task.task_id: task.state for task in run.get_task_instances()}
    assert (states["plan"], states["write_plan"]) == ("failed", "failed")
    (written,) = tmp_path.glob("*/plan.json")
    assert len(json.loads(written.read_text())["findings"]) == 5


def test_a_refused_hop_without_image_and_nodes_is_shown_with_the_rest_and_red(
    dag: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    cloud = (ROOT / "include" / "clouds" / "lab.yaml").read_text()
    clouds = tmp_path / "clouds"
    clouds.mkdir()
    cloud = cloud.replace("keystone-rollout/upgrade:", "no.such/image:")
    (clouds / "lab.yaml").write_text(cloud.replace(": lab_", ": nowhere_"))
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(clouds))
    run = dag.test(run_conf={"cloud": "lab", "source": "12.0.3", "target": "14.2.0"})
    assert run.state == "failed"
    states = {task.task_id: task.state for task in run.get_task_instances()}
    assert states == {"plan": "success", **dict.fromkeys(READS, "success"), "write_plan": "failed"}
    (written,) = tmp_path.glob("*/plan.json")
    data = json.loads(written.read_text())
    objects = {finding["object"] for finding in data["findings"]}
    # No connection is defined: everything that is asked is away.
    assert {"lab", "no.such/image:14.2.0", "nowhere_database_reader", "HAProxy haproxy",
            "keystone-1", "keystone-2", "keystone-3"} == objects  # fmt: skip
    text = written.with_name("plan.txt").read_text()
    assert "take Pike → Queens → Rocky, one hop each" in " ".join(text.split())
    assert "keystone-2" in text
    assert written.with_name("plan.html").exists()
