"""Roll all nodes back to the source release under load, before contract."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup, chain

from keystone_rollout.dag_parts.load_group import load_group
from keystone_rollout.dag_parts.runbook_page import document_tasks, page
from keystone_rollout.dag_parts.task_limits import TASK_LIMIT
from keystone_rollout.dag_parts.trigger_form import (
    all_params,
    cloud_params,
    load_params,
    lock_params,
)
from operators.lock_control import ReleaseLockOperator, TakeLockOperator
from operators.nodes import ReturnNodesOperator, UpgradeNodeOperator, VerifyNodesOperator
from operators.plan_upgrade import ListNodesOperator, PlanUpgradeOperator, PreflightOperator
from operators.rollback_control import CheckWayBackOperator, TellLeftBehindOperator
from operators.run_end import EndRunOperator, WriteReportOperator, end_resumed_run

with DAG(
    dag_id="keystone_rollback",
    schedule=None,
    is_paused_upon_creation=False,  # a paused DAG's run stays queued, and nobody is notified
    doc_md=page("keystone_rollback"),
    max_active_runs=1,
    tags=["keystone"],
    default_args={"on_failure_callback": end_resumed_run, **TASK_LIMIT},
    params=all_params(
        cloud_params(source="What to roll back to", target="What to leave"),
        load_params(),
        lock_params(),
    ),
) as dag:
    plan = PlanUpgradeOperator(task_id="plan")
    check_way_back = CheckWayBackOperator(task_id="check_way_back")
    preflight = PreflightOperator(task_id="preflight")
    take_lock = TakeLockOperator(task_id="take_lock").as_setup()
    recover_nodes = ReturnNodesOperator(task_id="recover_nodes")
    load = load_group()

    with TaskGroup("nodes"):
        list_nodes = ListNodesOperator(task_id="list_nodes", newest_first=True)
        rollback_nodes = UpgradeNodeOperator.partial(
            task_id="rollback_node",
            back=True,
            siblings=["nodes.rollback_node"],
            max_active_tis_per_dagrun=1,
            map_index_template="{{ node }}",
        ).expand(node=list_nodes.output)
        verify_nodes = VerifyNodesOperator(task_id="verify_nodes", back=True)
        tell_left_behind = TellLeftBehindOperator(task_id="tell_left_behind")

    rollback_succeeded = EndRunOperator(task_id="rollback_succeeded")
    return_nodes = ReturnNodesOperator(task_id="return_nodes")
    release_lock = ReleaseLockOperator(task_id="release_lock")
    report = WriteReportOperator(task_id="write_report")

    chain(plan, check_way_back, preflight, take_lock, recover_nodes)
    load.around(before=recover_nodes, first=list_nodes, last=tell_left_behind)
    chain(list_nodes, rollback_nodes, verify_nodes, tell_left_behind)
    chain(tell_left_behind, return_nodes, release_lock)
    chain(load.check_writes, release_lock, report)
    chain([load.watch, load.judge, load.check_writes], rollback_succeeded)
    chain([return_nodes, release_lock], rollback_succeeded)

    return_nodes.as_teardown(setups=take_lock, on_failure_fail_dagrun=True)
    release_lock.as_teardown(setups=take_lock, on_failure_fail_dagrun=True)
    report.as_teardown(on_failure_fail_dagrun=True)

    document_tasks(dag)
