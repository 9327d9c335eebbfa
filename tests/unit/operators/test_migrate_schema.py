"""Right before contract everything is asked once more; what does not answer counts as old."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.providers.ssh.hooks import ssh
from airflow.sdk.exceptions import AirflowFailException
from tenacity import wait_none

from keystone_rollout.domain.run.events import Judged
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.run import RolloutRun
from operators.migrate_schema import refuse_anything_old
from tests.stand_ins.in_memory_haproxy import Balancer, in_memory_haproxy

CLOSED_PORT = 1


def test_contract_is_refused_while_a_node_is_not_known_to_be_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Airflow's hook asks a node that refuses the connection three times, 3 to 5 s apart.
    for pause in ("wait_fixed", "wait_random"):
        monkeypatch.setattr(ssh, pause, lambda *seconds: wait_none())
    cloud = load_cloud("lab")
    nowhere = {"conn_type": "ssh", "host": "127.0.0.1", "port": CLOSED_PORT, "login": "nobody"}
    api = {"conn_type": "generic", "host": f"http://127.0.0.1:{CLOSED_PORT}/v3", "login": "admin"}
    node = cloud.nodes[0].model_copy(update={"url": f"http://127.0.0.1:{CLOSED_PORT}/v3"})
    monkeypatch.setenv(f"AIRFLOW_CONN_{node.ssh.upper()}", json.dumps(nowhere))
    monkeypatch.setenv(f"AIRFLOW_CONN_{cloud.api.connection.upper()}", json.dumps(api))
    run = RolloutRun(
        cloud.model_copy(update={"nodes": [node]}), RunDirectory("run-1", tmp_path), "contract"
    )
    with in_memory_haproxy(Balancer()) as balancer:
        haproxy = {"conn_type": "generic", "host": "127.0.0.1", "port": balancer.port}
        name = f"AIRFLOW_CONN_{cloud.load_balancers[0].connection.upper()}"
        monkeypatch.setenv(name, json.dumps(haproxy))
        with pytest.raises(AirflowFailException) as refused:
            refuse_anything_old(run)
    text = str(refused.value)
    assert "gate 'all nodes, at contract' is closed" in text
    assert "FAILED release (keystone-1): measured unknown: keystone-1: step report_release" in text
    assert "FAILED server (haproxy/keystone-2): measured ready/UP, not a node of the" in text
    assert "limit 13.0.4 running" in text
    assert "contract would break an old node" in text
    assert run.directory.last(Judged) is not None
