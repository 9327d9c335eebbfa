"""Rehearse the upgrade of a staging cloud: reset it, upgrade it, keep the report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, chain

from operators.keep_rehearsal import KeepRehearsalOperator
from operators.rehearsal_dags import RehearsalDag, rehearsal_dags
from operators.rehearsal_operator import ReleaseRehearsalLockOperator, TakeRehearsalLockOperator
from operators.rehearse_upgrade import RehearseUpgradeOperator
from operators.reset_staging import CheckStagingOperator, LoadDumpOperator, ResetStagingOperator

# What an operator reads on the DAG's page at 2 a.m.
PAGE = Path(__file__).resolve().parents[1] / "docs" / "keystone_rehearsal.md"


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
        doc_md=made.page(PAGE.read_text(encoding="utf-8")),
        tags=made.tags,
        params={
            # One cloud a DAG: another one has its own history, and its own run at a time.
            "cloud": Param(
                made.cloud, type="string", enum=[made.cloud], description="file in include/clouds"
            ),
            "source": Param(
                "", type="string", description="release to reset to; empty: the file's"
            ),
            "target": Param("", type="string", description="release to reach; empty: the file's"),
            "dump": Param(
                "", type="string", description="dump of production to upgrade; empty: the file's"
            ),
            "break_lock": Param(
                "", type="string", description="id of the dead run whose lock is broken"
            ),
        },
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
        # A teardown goes well also after a failure: the upgrade needs what was before it, too.
        chain(load_dump, run_upgrade, rehearsal_succeeded)
        chain(run_upgrade, keep_report)

        release_lock.as_teardown(setups=take_lock, on_failure_fail_dagrun=True)
        keep_report.as_teardown(on_failure_fail_dagrun=True)
    return dag


for each in rehearsal_dags():
    globals()[each.dag_id] = rehearsal_dag(each)
