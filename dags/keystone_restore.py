"""Restore a cloud to the source release from its verified backup, if there is no other way."""

from __future__ import annotations

from airflow.sdk import DAG, chain

from keystone_rollout.dag_parts.runbook_page import document_tasks, page
from keystone_rollout.dag_parts.task_limits import TASK_LIMIT
from keystone_rollout.dag_parts.trigger_form import (
    all_params,
    cloud_params,
    lock_params,
    restore_params,
)
from operators.lock_control import ReleaseLockOperator, TakeLockOperator
from operators.restore.outage import RestoreNodesOperator, StopKeystoneOperator
from operators.restore.plan import PlanRestoreOperator
from operators.restore.settle import DropScratchSchemaOperator, ReturnServersOperator
from operators.restore.swap import ConfirmRestoreOperator, SwapSchemasOperator
from operators.restore.verify import VerifyRestoreOperator
from operators.run_end import EndRunOperator, WriteReportOperator, end_resumed_run

with DAG(
    dag_id="keystone_restore",
    schedule=None,
    is_paused_upon_creation=False,  # a paused DAG's run stays queued, and nobody is notified
    doc_md=page("keystone_restore"),
    max_active_runs=1,
    tags=["keystone"],
    default_args={"on_failure_callback": end_resumed_run, **TASK_LIMIT},
    params=all_params(
        cloud_params(source="What to restore", target="What to leave"),
        restore_params(),
        lock_params(),
    ),
) as dag:
    take_lock = TakeLockOperator(task_id="take_lock").as_setup()
    plan = PlanRestoreOperator(task_id="plan_restore")
    confirm = ConfirmRestoreOperator(task_id="confirm_restore")
    stop_keystone = StopKeystoneOperator(task_id="stop_keystone")
    swap_schemas = SwapSchemasOperator(task_id="swap_schemas")
    restore_nodes = RestoreNodesOperator(task_id="restore_nodes")
    verify = VerifyRestoreOperator(task_id="verify_restore")

    # A teardown hides the failures before it: the run's state needs a leaf that follows everything.
    restore_succeeded = EndRunOperator(task_id="restore_succeeded")
    settle_servers = ReturnServersOperator(task_id="settle_servers")
    drop_scratch = DropScratchSchemaOperator(task_id="drop_scratch_schema")
    release_lock = ReleaseLockOperator(task_id="release_lock")
    report = WriteReportOperator(task_id="write_report")

    # The lock comes first: two plans at once would load into the same scratch schema.
    chain(take_lock, plan, confirm, stop_keystone, swap_schemas, restore_nodes, verify)
    chain(verify, restore_succeeded)
    chain(verify, settle_servers, drop_scratch, release_lock, report)
    chain([settle_servers, drop_scratch, release_lock], restore_succeeded)

    release_lock.as_teardown(setups=take_lock, on_failure_fail_dagrun=True)

    for teardown in (settle_servers, drop_scratch, report):
        teardown.as_teardown(on_failure_fail_dagrun=True)

    document_tasks(dag)
