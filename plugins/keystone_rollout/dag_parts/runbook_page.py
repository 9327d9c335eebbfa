"""Take the documentation of a DAG and its tasks from one page: docs/<dag id>.md.

The page's tables say what each task does, and what to do when it is red. Each task gets its own
rows, so that the page and the tasks cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator

from keystone_rollout.hooks.files.project import DOCS

HAPPENS, RED = "What happens now", "If red"


def page(dag_id: str) -> str:
    """Return a DAG's page, for its `doc_md`; a DAG loads without its page, too."""
    path = DOCS / f"{dag_id}.md"
    if not path.exists():
        return f"docs/{path.name} is missing in this installation."
    return path.read_text(encoding="utf-8")


def document_tasks(dag: DAG) -> None:
    """Give every task of a DAG two lines: what it does, and what to do when it is red."""
    happens, red = (dict(rows(dag.doc_md or "", heading)) for heading in (HAPPENS, RED))
    for task in dag.tasks:
        if task.task_id not in happens or task.task_id not in red:
            # A test finds a page that lacks a task; an upgrade at 2 a.m. must not fail on it.
            continue
        meaning, action = red[task.task_id][:2]
        text = (
            f"**What it does:** {happens[task.task_id][0]}.\n\n"
            f"**If red:** {meaning}. **Next:** {action}."
        )
        if isinstance(task, MappedOperator):
            task.partial_kwargs["doc_md"] = text
        else:
            task.doc_md = text


def rows(text: str, heading: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of the tables under a heading: the first cell, and the others."""
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    for part in section:
        if not part.startswith(f"{heading}\n"):
            continue
        lines = [line for line in part.splitlines() if line.startswith("|")]
        for line in lines[2:]:
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            yield first, others
