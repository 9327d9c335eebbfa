"""Say what an upgrade would do, without changing anything: one page to read the day before.

It takes no lock and may run while an upgrade runs. Red means that something stands in the way or
could not be read; the page names it, with all the rest.
"""

from __future__ import annotations

from airflow.sdk import DAG, chain

from keystone_rollout.dag_parts.runbook_page import document_tasks, page
from keystone_rollout.dag_parts.task_limits import TASK_LIMIT
from keystone_rollout.dag_parts.trigger_form import cloud_params
from operators.plan_parts import (
    EstimateStepsOperator,
    PlanHopOperator,
    ReadMigrationsOperator,
    ReadNodesOperator,
    ReadSchemaOperator,
    WritePlanOperator,
)

with DAG(
    dag_id="keystone_plan",
    schedule=None,
    is_paused_upon_creation=False,  # a paused DAG's run stays queued, and nobody is notified
    doc_md=page("keystone_plan"),
    tags=["keystone"],
    default_args=TASK_LIMIT,
    params=cloud_params(source="What the nodes run now", target="What the nodes should run"),
) as dag:
    plan = PlanHopOperator(task_id="plan")
    read_migrations = ReadMigrationsOperator(task_id="read_migrations")
    read_schema = ReadSchemaOperator(task_id="read_schema")
    read_nodes = ReadNodesOperator(task_id="read_nodes")
    estimate_steps = EstimateStepsOperator(task_id="estimate_steps")
    # It fails itself if a part is missing, so it may run after a failed task.
    write_plan = WritePlanOperator(task_id="write_plan", trigger_rule="all_done")

    chain(plan, [read_migrations, read_schema, read_nodes, estimate_steps], write_plan)

    document_tasks(dag)
