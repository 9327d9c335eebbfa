"""Upgrade Keystone from one release to the next while it serves, proven under load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup, chain, task

from keystone_rollout.dag_parts.load_group import SURVIVE_EXECUTOR, load_group
from keystone_rollout.dag_parts.runbook_page import document_tasks, page
from keystone_rollout.dag_parts.task_limits import TASK_LIMIT
from keystone_rollout.dag_parts.trigger_form import (
    all_params,
    cloud_params,
    load_params,
    lock_params,
    upgrade_params,
)
from operators.approve_contract import ApproveContractOperator
from operators.backup_database import BackupDatabaseOperator
from operators.keystone_manage import ImageCheckOperator, TokenFlushOperator
from operators.lock_control import ReleaseLockOperator, TakeLockOperator
from operators.migrate_schema import PhaseOperator
from operators.nodes import (
    ReturnNodesOperator,
    StagePackagesOperator,
    UpgradeNodeOperator,
    VerifyNodesOperator,
)
from operators.plan_upgrade import (
    GoOnOperator,
    ListNodesOperator,
    PlanUpgradeOperator,
    PreflightOperator,
)
from operators.run_end import EndRunOperator, WriteReportOperator, end_resumed_run
from operators.saved_variable_control import (
    ResetFunctionCreatorsOperator,
    ResetIsolationOperator,
    SetFunctionCreatorsOperator,
    SetReadCommittedOperator,
)
from sensors.schema_head import SchemaHeadSensor

with DAG(
    dag_id="keystone_upgrade",
    schedule=None,
    is_paused_upon_creation=False,  # a paused DAG's run stays queued, and nobody is notified
    doc_md=page("keystone_upgrade"),
    max_active_runs=1,
    tags=["keystone"],
    default_args={"on_failure_callback": end_resumed_run, **TASK_LIMIT},
    params=all_params(
        cloud_params(source="What the nodes run now", target="What the nodes should run"),
        upgrade_params(),
        load_params(),
        lock_params(),
    ),
) as dag:
    plan = PlanUpgradeOperator(task_id="plan")
    preflight = PreflightOperator(task_id="preflight")
    go_on = GoOnOperator(task_id="go_on")
    take_lock = TakeLockOperator(task_id="take_lock").as_setup()
    recover_nodes = ReturnNodesOperator(task_id="recover_nodes")
    backup = BackupDatabaseOperator(task_id="backup_database")
    load = load_group()

    set_creators = SetFunctionCreatorsOperator(task_id="set_function_creators").as_setup()
    restore_creators = ResetFunctionCreatorsOperator(task_id="restore_function_creators")
    set_isolation = SetReadCommittedOperator(task_id="set_read_committed").as_setup()
    restore_isolation = ResetIsolationOperator(task_id="restore_isolation")

    with TaskGroup("packages"):
        list_nodes = ListNodesOperator(task_id="list_nodes")
        stage = StagePackagesOperator.partial(
            task_id="stage_packages", map_index_template="{{ node }}"
        ).expand(node=list_nodes.output)

    with TaskGroup("database"):
        doctor = ImageCheckOperator(task_id="doctor", check="doctor")
        token_flush = TokenFlushOperator(task_id="token_flush")
        expand = PhaseOperator(task_id="expand", phase="expand")
        wait_expand = SchemaHeadSensor(task_id="wait_expand", phase="expand", **SURVIVE_EXECUTOR)
        migrate = PhaseOperator(task_id="migrate", phase="migrate")
        wait_migrate = SchemaHeadSensor(task_id="wait_migrate", phase="migrate", **SURVIVE_EXECUTOR)

    with TaskGroup("nodes"):
        first_node = UpgradeNodeOperator(task_id="upgrade_first_node")
        list_other_nodes = ListNodesOperator(task_id="list_other_nodes", skip_first=True)
        other_nodes = UpgradeNodeOperator.partial(
            task_id="upgrade_node",
            siblings=["nodes.upgrade_first_node", "nodes.upgrade_node"],
            max_active_tis_per_dagrun=1,
            map_index_template="{{ node }}",
        ).expand(node=list_other_nodes.output)
        verify_nodes = VerifyNodesOperator(task_id="verify_nodes")

    with TaskGroup("contraction"):

        @task.branch
        def choose_approval(params: Mapping[str, Any] | None = None) -> str:
            """Ask a human, unless the run was started with auto_approve."""
            kind = "auto_approved" if params and params["auto_approve"] else "approve_contract"
            return f"contraction.{kind}"

        ask = choose_approval()
        approve_contract = ApproveContractOperator(task_id="approve_contract")
        auto_approved = EmptyOperator(task_id="auto_approved")
        contract = PhaseOperator(
            task_id="contract", phase="contract", trigger_rule="none_failed_min_one_success"
        )
        wait_contract = SchemaHeadSensor(
            task_id="wait_contract", phase="contract", **SURVIVE_EXECUTOR
        )

    # A teardown hides the failures before it, those of other teardowns included, so the run's state
    # needs a leaf of its own that follows every step and every teardown.
    upgrade_succeeded = EndRunOperator(task_id="upgrade_succeeded")
    return_nodes = ReturnNodesOperator(task_id="return_nodes")
    release_lock = ReleaseLockOperator(task_id="release_lock")
    report = WriteReportOperator(task_id="write_report")

    chain(plan, preflight, go_on, take_lock, recover_nodes, backup)
    load.around(before=backup, first=set_creators, last=wait_contract)
    chain(set_creators, set_isolation, list_nodes, stage)
    chain(stage, doctor, token_flush, expand, wait_expand, migrate, wait_migrate)
    chain(wait_migrate, first_node, list_other_nodes, other_nodes, verify_nodes, ask)
    chain(ask, [approve_contract, auto_approved], contract, wait_contract)
    chain(wait_contract, [restore_isolation, restore_creators], return_nodes, release_lock)
    chain(load.check_writes, release_lock, report)
    chain([load.watch, load.judge, load.check_writes], upgrade_succeeded)
    chain([restore_isolation, restore_creators, return_nodes, release_lock], upgrade_succeeded)

    # One setup that succeeded is enough: so they run, too, if the setting itself was killed, and
    # reset what a run that died has left.
    restore_creators.as_teardown(setups=[take_lock, set_creators], on_failure_fail_dagrun=True)
    restore_isolation.as_teardown(setups=[take_lock, set_isolation], on_failure_fail_dagrun=True)
    return_nodes.as_teardown(setups=take_lock, on_failure_fail_dagrun=True)
    release_lock.as_teardown(setups=take_lock, on_failure_fail_dagrun=True)
    report.as_teardown(on_failure_fail_dagrun=True)

    document_tasks(dag)
