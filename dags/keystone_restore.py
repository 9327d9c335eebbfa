"""Put a cloud back to the source release from its verified backup, when there is no other way."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, Param, chain

from operators.end_run import EndRunOperator, end_resumed_run
from operators.lock_control import ReleaseLockOperator, TakeLockOperator
from operators.restore_confirm import ConfirmRestoreOperator
from operators.restore_nodes import RestoreNodesOperator
from operators.restore_plan import PlanRestoreOperator
from operators.restore_settle import DropScratchSchemaOperator, SettleServersOperator
from operators.restore_stop import StopKeystoneOperator
from operators.restore_swap import SwapSchemasOperator
from operators.restore_verify import VerifyRestoreOperator
from operators.write_report import WriteReportOperator

# What an operator reads on the DAG's page at 2 a.m.
PAGE = Path(__file__).resolve().parents[1] / "docs" / "keystone_restore.md"

with DAG(
    dag_id="keystone_restore",
    schedule=None,
    max_active_runs=1,
    doc_md=str(PAGE),
    tags=["keystone"],
    default_args={"on_failure_callback": end_resumed_run},
    params={
        "cloud": Param("lab", type="string", description="file in include/clouds, without .yaml"),
        "source": Param(
            "", type=["null", "string"], description="release to go back to; empty: the file's"
        ),
        "target": Param(
            "", type=["null", "string"], description="release to leave; empty: the file's"
        ),
        "backup": Param(
            "",
            type=["null", "string"],
            description="file in the backup directory; empty: the newest fit",
        ),
        "confirm": Param(
            "",
            type=["null", "string"],
            description="the phrase that a run without it prints; empty: refuse",
        ),
        "break_lock": Param(
            "",
            type=["null", "string"],
            description="id of the dead run whose lock is broken deliberately",
        ),
    },
) as dag:
    take_lock = TakeLockOperator(task_id="take_lock").as_setup()
    plan = PlanRestoreOperator(task_id="plan_restore")
    confirm = ConfirmRestoreOperator(task_id="confirm_restore")
    stop_keystone = StopKeystoneOperator(task_id="stop_keystone")
    swap_schemas = SwapSchemasOperator(task_id="swap_schemas")
    restore_nodes = RestoreNodesOperator(task_id="restore_nodes")
    verify = VerifyRestoreOperator(task_id="verify_restore")

    # The run's state needs a leaf that follows every step and no teardown.
    restore_succeeded = EndRunOperator(task_id="restore_succeeded")
    settle_servers = SettleServersOperator(task_id="settle_servers")
    drop_scratch = DropScratchSchemaOperator(task_id="drop_scratch_schema")
    release_lock = ReleaseLockOperator(task_id="release_lock")
    report = WriteReportOperator(task_id="write_report")

    # The lock comes first: two plans at once would load into the same scratch schema.
    chain(take_lock, plan, confirm, stop_keystone, swap_schemas, restore_nodes, verify)
    chain(verify, restore_succeeded)
    chain(verify, settle_servers, drop_scratch, release_lock, report)

    release_lock.as_teardown(setups=take_lock, on_failure_fail_dagrun=True)

    for teardown in (settle_servers, drop_scratch, report):
        teardown.as_teardown(on_failure_fail_dagrun=True)
