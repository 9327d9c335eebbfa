"""What the documentation calls by its name exists: keys of the cloud file, tasks, limits."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from tests.docs.documentation import ROOT, Found, pages

SCHEMA: dict[str, Any] = Cloud.model_json_schema(by_alias=True)
DOTTED = re.compile(r"[a-z_]+(\.[a-z_]+)+")
FILE = re.compile(r"\.(md|py|yaml|yml|json|jsonl|html|txt|conf|cfg|svg|list|sql|css|cnf|log|sh)$")
DAG_PARTS = ROOT / "plugins" / "keystone_rollout" / "dag_parts"
WIRING = [*(ROOT / "dags").glob("*.py"), *DAG_PARTS.glob("*.py")]
PICTURE = ROOT / "docs" / "images" / "phases.svg"


def keys(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every key of the cloud file with those above it."""
    for name, each in section.get("properties", {}).items():
        yield f"{prefix}{name}"
        inner = next((one for one in each.get("anyOf", []) if "$ref" in one), each)
        inner = inner.get("items", inner)
        below = SCHEMA["$defs"].get(inner.get("$ref", "").rpartition("/")[2], {})
        yield from keys(below, f"{prefix}{name}.")


def tasks() -> set[str]:
    """Return the names of all tasks of all DAGs, without their groups."""
    found: set[str] = set()
    for path in WIRING:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "task_id":
                assert isinstance(node.value, ast.Constant)
                found.add(str(node.value.value).rpartition(".")[2])
            elif isinstance(node, ast.FunctionDef):
                found.add(node.name)
    return found


def groups() -> set[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in WIRING)
    return set(re.findall(r'TaskGroup\("(\w+)"\)', text))


KEYS, TASKS, GROUPS = set(keys(SCHEMA)), tasks(), groups()


def nameless(span: str) -> bool:
    """Tell whether a dotted name begins like a key or a task, and is neither."""
    top, _, rest = span.partition(".")
    if not DOTTED.fullmatch(span) or FILE.search(span):
        return False
    if top not in SCHEMA["properties"] and top not in GROUPS:
        return False
    # What a preset's variable is called is the reference's business.
    return not (span in KEYS or rest in TASKS or span.startswith("node_steps.variables."))


def test_there_are_names_to_compare_with() -> None:
    assert {"limits.load.failure_budget", "nodes.server", "load.profile.rate"} <= KEYS
    assert {"upgrade_node", "start_load", "choose_approval", "swap_schemas"} <= TASKS
    assert {"load", "nodes", "database", "packages", "contraction"} <= GROUPS


def test_every_key_and_task_that_a_page_names_exists() -> None:
    spans = [span for page in pages() for span in page.spans()]
    named = [span for span in spans if span.text in KEYS or span.text.partition(".")[2] in TASKS]
    assert len(named) > 30
    assert [str(span) for span in spans if nameless(span.text)] == []


@pytest.mark.parametrize(
    ("span", "wrong"),
    [
        ("limits.phase_seconds", False),
        ("limits.phase_minutes", True),
        ("load.start_load", False),
        ("load.begin", True),
        ("nodes.upgrade_node", False),
        ("keystone.conf", False),
        ("report.html", False),
        ("node_steps.variables.memcached", False),
        ("node_steps.prest", True),
    ],
)
def test_a_name_that_does_not_exist_would_be_found(span: str, wrong: bool) -> None:
    assert nameless(span) is wrong


def test_tables_of_tasks_name_real_ones() -> None:
    """Rows whose first cell is made of code spans alone are about tasks."""
    wrong = [
        str(Found(page.path, number, name))
        for page in pages()
        if page.path.name == "runbook.md"
        for number, line in enumerate(page.text.splitlines(), start=1)
        if re.match(r"\| `[a-z_.]+`(, `[a-z_.]+`)* \|.*\|.*\|$", line)
        for name in re.findall(r"`([a-z_.]+)`", line.split("|")[1])
        if name.rpartition(".")[2] not in TASKS
    ]
    assert wrong == []


def test_the_picture_shows_tasks_of_the_upgrade() -> None:
    picture = PICTURE.read_text(encoding="utf-8")
    shown = re.findall(r'<text class="task"[^>]*>([^<]+)</text>', picture)
    assert {"plan", "expand", "approve_contract", "contract"} <= set(shown)
    assert [name for name in shown if name not in TASKS] == []
    words = " ".join(re.findall(r">([^<]+)</text>", picture))
    known = TASKS | {path.stem for path in WIRING}
    assert [each for each in re.findall(r"\b[a-z]+_[a-z_]+\b", words) if each not in known] == []


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    text = PICTURE.read_text().replace("http://www.w3.org/2000/svg", "")
    assert "http" not in text
    assert "href" not in text
