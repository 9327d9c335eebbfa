"""Rehearse the upgrade of a staging cloud: reset it, upgrade it, keep the report."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, chain

from keystone_rollout.dag_parts.rehearsal_dags import RehearsalDag, rehearsal_dags
from keystone_rollout.dag_parts.runbook_page import document_tasks, page
from keystone_rollout.dag_parts.task_limits import TASK_LIMIT
from keystone_rollout.dag_parts.trigger_form import all_params, lock_params, rehearsal_params
from operators.rehearsal.keep import KeepRehearsalOperator
from operators.rehearsal.operator import (
    ReleaseRehearsalLockOperator,
    TakeRehearsalLockOperator,
)
from operators.rehearsal.reset_staging import (
    CheckStagingOperator,
    LoadDumpOperator,
    ResetStagingOperator,
)
from operators.rehearsal.upgrade import RehearseUpgradeOperator


def rehearsal_dag(made: RehearsalDag) -> DAG:
    """Return the DAG of one cloud."""
    with DAG(
        dag_id=made.dag_id,
        description=made.description,
        schedule=made.schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=True,
        doc_md=made.page(page("keystone_rehearsal")),
        tags=made.tags,
        default_args=TASK_LIMIT,
        params=all_params(rehearsal_params(made.cloud), lock_params()),
    ) as dag:
        check_staging = CheckStagingOperator(task_id="check_staging")
        take_lock = TakeRehearsalLockOperator(task_id="take_lock").as_setup()
        reset_staging = ResetStagingOperator(task_id="reset_staging")
        load_dump = LoadDumpOperator(task_id="load_dump")
        release_lock = ReleaseRehearsalLockOperator(task_id="release_lock")
        run_upgrade = RehearseUpgradeOperator(task_id="run_upgrade")

        # The run's state needs a leaf that follows every step and no teardown.
        rehearsal_succeeded = EmptyOperator(task_id="rehearsal_succeeded")
        keep_report = KeepRehearsalOperator(task_id="keep_report")

        chain(check_staging, take_lock, reset_staging, load_dump, release_lock, run_upgrade)
        # A teardown succeeds even after a failure, so the upgrade depends on the step before it,
        # too.
        chain(load_dump, run_upgrade, rehearsal_succeeded)
        chain(run_upgrade, keep_report)

        release_lock.as_teardown(setups=take_lock, on_failure_fail_dagrun=True)
        keep_report.as_teardown(on_failure_fail_dagrun=True)

        document_tasks(dag)
    return dag


for each in rehearsal_dags():
    globals()[each.dag_id] = rehearsal_dag(each)
