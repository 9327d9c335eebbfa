"""Hold each DAG's page to the DAG: what a person reads at 2 a.m. names every task there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.serialization.serialized_objects import DagSerialization

from keystone_rollout.dag_parts.runbook_page import HAPPENS, RED, document_tasks, page, rows
from operators.plan_upgrade import PreflightOperator

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("keystone_*.md"))
SAFE = "Is it safe to stop here?"
HEADINGS = ["Before you start", HAPPENS, SAFE, "Point of no return", RED, "Rollback"]


@pytest.mark.parametrize("dag_id", PAGES)
def test_airflow_can_put_the_dag_in_order_to_show_it(dags: dict[str, DAG], dag_id: str) -> None:
    """A circle of task groups runs all the same; grid and graph are an error 500 then."""
    seen = DagSerialization.from_dict(DagSerialization.to_dict(dags[dag_id]))
    shown = {node.node_id for node in seen.task_group.topological_sort()}
    assert shown == set(seen.task_group.children)
    assert len(dags[dag_id].topological_sort()) == len(dags[dag_id].tasks)


def test_every_dag_has_a_page(dags: dict[str, DAG]) -> None:
    assert {"keystone_plan", "keystone_restore", "keystone_rollback", "keystone_upgrade"} <= set(
        PAGES
    )
    assert sorted(dags) == PAGES


@pytest.mark.parametrize("dag_id", PAGES)
def test_a_page_answers_in_this_order(dags: dict[str, DAG], dag_id: str) -> None:
    text = dags[dag_id].doc_md
    assert text is not None
    assert text == (ROOT / "docs" / f"{dag_id}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("dag_id", PAGES)
@pytest.mark.parametrize("heading", [HAPPENS, RED])
def test_the_tables_name_every_task_once_and_no_other(
    dags: dict[str, DAG], dag_id: str, heading: str
) -> None:
    named = [first for first, _ in rows(dags[dag_id].doc_md or "", heading)]
    assert sorted(named) == sorted(dags[dag_id].task_ids)


@pytest.mark.parametrize("dag_id", PAGES)
def test_each_group_is_safe_to_stop_or_not(dags: dict[str, DAG], dag_id: str) -> None:
    groups = {group or "(no group)" for group in dags[dag_id].task_group_dict}
    answers = dict(rows(dags[dag_id].doc_md or "", SAFE))
    assert set(answers) == groups | {"(no group)"}
    for group, (safe, why) in answers.items():
        assert safe in ("yes", "no"), group
        assert why, group


@pytest.mark.parametrize("dag_id", PAGES)
def test_red_has_a_meaning_and_a_next_action(dags: dict[str, DAG], dag_id: str) -> None:
    for task, cells in rows(dags[dag_id].doc_md or "", RED):
        assert len(cells) == 2, task
        assert all(cells), task


def test_every_task_of_every_dag_has_its_two_lines(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        for task in dag.tasks:
            lines = [line for line in (task.doc_md or "").splitlines() if line]
            assert len(lines) == 2, f"{dag.dag_id}.{task.task_id}"
            assert lines[0].startswith("**What it does:** ")
            assert lines[1].startswith("**If red:** ")
            assert " **Next:** " in lines[1]


def test_a_tasks_lines_are_those_of_the_page(dags: dict[str, DAG]) -> None:
    mapped = dags["keystone_upgrade"].get_task("nodes.upgrade_node")
    assert isinstance(mapped, MappedOperator)
    assert mapped.doc_md == (
        "**What it does:** takes one node through the same cycle; one at a time in the cloud "
        "file's order, none after a failed one.\n\n"
        "**If red:** the same, for this node; nodes after it were not started and serve. "
        "**Next:** repair what it names, clear this task, then those after it."
    )


def test_mapped_tasks_are_labelled_with_the_nodes_name(dags: dict[str, DAG]) -> None:
    mapped = [task for dag in dags.values() for task in dag.tasks if task.is_mapped]
    assert len(mapped) >= 3
    assert {task.map_index_template for task in mapped} == {"{{ node }}"}


def test_a_missing_page_or_row_does_not_keep_a_dag_away() -> None:
    with DAG("keystone_other", schedule=None, doc_md=page("keystone_other")) as dag:
        task = PreflightOperator(task_id="preflight")
        document_tasks(dag)
    assert dag.doc_md == "docs/keystone_other.md is missing in this installation."
    assert task.doc_md is None
