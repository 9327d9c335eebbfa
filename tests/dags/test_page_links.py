"""Tasks are linked to the pages that show what they do, while they do it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from keystone_rollout.domain.cloud.model import LoadBalancer
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.web.links import (
    HistoryLink,
    LoadLink,
    ReportLink,
    StatisticsLink,
    report_address,
)
from operators.load_control import StartLoadOperator
from operators.nodes import UpgradeNodeOperator

RUN = "manual__2026-03-01T10:00:00+00:00"
NODES = {"recover_nodes", "return_nodes", "packages.stage_packages", "nodes.upgrade_first_node",
         "nodes.upgrade_node", "nodes.verify_nodes"}  # fmt: skip
LOAD = {"load.start_load", "load.measure_baseline", "load.watch_load", "load.judge_load"}
LINKS = {
    "keystone_upgrade": {
        "HAProxy statistics": NODES,
        "Load": LOAD,
        "Report": {"write_report", "contraction.approve_contract"},
    },
    "keystone_rollback": {
        "HAProxy statistics": {
            "recover_nodes",
            "return_nodes",
            "nodes.rollback_node",
            "nodes.verify_nodes",
        },
        "Load": LOAD,
        "Report": {"write_report"},
    },
    "keystone_restore": {
        "HAProxy statistics": {"stop_keystone", "restore_nodes"},
        "Report": {"write_report"},
    },
    "keystone_plan": {"Plan": {"write_plan"}},
    # The second one is the trigger's own: it leads to the upgrade that is rehearsed.
    "keystone_rehearsal": {"History": {"keep_report"}, "Triggered DAG": {"run_upgrade"}},
}


class Instance:
    """A task's instance that keeps what is pushed; other nodes' tasks have failed."""

    task_id = "upgrade_node"
    dag_id = "keystone_upgrade"
    run_id = RUN
    map_index = 0

    def __init__(self) -> None:
        self.pushed: dict[str, str] = {}

    def xcom_push(self, *, key: str, value: str) -> None:
        self.pushed[key] = value

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str]]:
        return {RUN: {"nodes.upgrade_first_node": "failed"}}


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    return {"params": {"cloud": "lab"}, "ti": Instance(), "run_id": RUN}


@pytest.mark.parametrize("dag_id", LINKS)
def test_airflow_knows_these_links_of_these_tasks(dags: dict[str, DAG], dag_id: str) -> None:
    # As the api-server sees the DAG: without our operators.
    seen = DagSerialization.from_dict(DagSerialization.to_dict(dags[dag_id]))
    links: dict[str, set[str]] = {}
    for task in seen.tasks:
        for name in task.extra_links:
            links.setdefault(name, set()).add(task.task_id)
    assert links == LINKS[dag_id]


def test_a_nodes_task_is_linked_before_it_does_anything(context: dict[str, Any]) -> None:
    operator = UpgradeNodeOperator(
        task_id="upgrade_node", node="keystone-2", siblings=["nodes.upgrade_first_node"]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_LAB_KEYSTONE_2", "ssh://rollout@127.0.0.1")
        with pytest.raises(AirflowFailException, match="was not started"):
            operator.execute(context)
    link = StatisticsLink()
    assert context["ti"].pushed == {link.xcom_key: "http://127.0.0.1:8404/"}
    # Airflow asks once more at the task's end.
    assert link.get_link(operator, ti_key=context["ti"]) == "http://127.0.0.1:8404/"


def test_the_first_balancer_with_statistics_is_linked_and_none_without(
    context: dict[str, Any],
) -> None:
    cloud, operator, link = load_cloud("lab"), SimpleNamespace(), StatisticsLink()
    silent = LoadBalancer(name="a", connection="a", backend="k")
    told = LoadBalancer(name="b", connection="b", backend="k", statistics="https://b/stats")
    link.show_cloud(operator, context, cloud.model_copy(update={"load_balancers": [silent]}))
    assert link.get_link(operator, ti_key=context["ti"]) == ""
    assert context["ti"].pushed == {}
    link.show_cloud(operator, context, cloud.model_copy(update={"load_balancers": [silent, told]}))
    assert context["ti"].pushed == {link.xcom_key: "https://b/stats"}


@pytest.mark.parametrize("address", ["javascript:alert(1)", "127.0.0.1:8404", "http://a b"])
def test_statistics_are_a_web_address(address: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        LoadBalancer(name="a", connection="a", backend="k", statistics=address)


def test_a_load_task_is_linked_before_the_load_is_started(context: dict[str, Any]) -> None:
    operator = StartLoadOperator(task_id="start_load")
    with pytest.raises(Exception, match="lab_keystone_api"):
        operator.execute(context)
    assert context["ti"].pushed == {
        LoadLink().xcom_key: "/rollout/runs/manual__2026-03-01T10_00_00_00_00/load.html"
    }


def test_links_do_not_share_their_place() -> None:
    keys = {link().xcom_key for link in (LoadLink, StatisticsLink, ReportLink, HistoryLink)}
    assert len(keys) == 4


def test_the_reports_address_has_the_path_below_which_airflow_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://ops.example.org/airflow/")
    assert report_address("a+b", "report.html") == "/airflow/rollout/runs/a_b/report.html"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080")
    assert ReportLink().get_link(None, ti_key=Instance()) == (
        "/rollout/runs/manual__2026-03-01T10_00_00_00_00/report.html"
    )
