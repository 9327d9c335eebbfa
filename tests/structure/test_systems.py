"""What is outside of a run is reached through its systems, which one module makes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.structure.source import PACKAGE, modules, ours, tree

HOOKS, MAKER = f"{PACKAGE}.hooks.", f"{PACKAGE}.procedures.run.systems"
ABOVE = (f"{PACKAGE}.procedures.", "operators.", "sensors.")
"""Layers that act on a cloud."""

NO_SYSTEM = {
    "hooks.database.sql.sql": "a question's text, for SqlSensor, which asks it by the run's hook",
    "hooks.files.cloud_file.project_path": "a path, nothing is opened",
    "hooks.files.run_directory.rehearsals_folder": "a path, nothing is opened",
    "hooks.files.run_directory.runs_folder": "a path, nothing is opened",
    "hooks.files.run_identity.folder_name": "a name, nothing is opened",
    "hooks.files.run_identity.run_folder": "a path, by the names that runs have taken",
    "hooks.files.run_pages.load_sessions": "a page is served outside of any run",
    "hooks.files.run_pages.load_text": "a page is served outside of any run",
    "hooks.files.run_pages.run_page": "a path, nothing is opened",
    "hooks.files.dumps.inside": "a path, nothing is opened",
    "hooks.trust.certificates.peer_of": "what section `tls` says of a URL, nothing is opened",
    "hooks.trust.databases.database_address": "host:port of a connection, nothing is opened",
}
"""Functions of hooks that anybody may call, each with the reason."""

LATER = {"operators.keystone_manage": {"DeliveringClient"}}
"""What still makes hooks by itself, though the run has the system for it."""

PLAIN = ("Error", "Exception", "Failed", "Missing", "NotUsable", "Unreadable")
"""How errors end: they may be caught by whoever calls a system."""


def is_plain(module: str, name: str) -> bool:
    """Tell whether a name of a hook's module is a constant, an error or data."""
    for node in tree(modules()[module]).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            decorators = {ast.unparse(each).split("(")[0] for each in node.decorator_list}
            return "dataclass" in decorators or name.endswith(PLAIN)
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return f"{module}.{name}".removeprefix(f"{PACKAGE}.") in NO_SYSTEM
    return True


def systems_taken(syntax: ast.Module) -> Iterator[str]:
    """Yield each class or function of a hook that a module imports to reach something with."""
    for node in ast.walk(syntax):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith(HOOKS))
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        for each in node.names:
            full = f"{node.module}.{each.name}"
            if full.startswith(HOOKS) and (
                ours(full) == full or not is_plain(node.module, each.name)
            ):
                yield each.name
            if node.module.startswith("airflow.providers.") and each.name.endswith("Hook"):
                yield each.name


def test_one_module_makes_the_systems_of_a_run() -> None:
    found = {
        name: taken
        for name, path in modules().items()
        if name.startswith(ABOVE) and name != MAKER
        if (taken := set(systems_taken(tree(path))))
    }
    assert found == LATER
    assert len(set(systems_taken(tree(modules()[MAKER])))) > 20


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from keystone_rollout.hooks.haproxy.servers import Servers", ["Servers"]),
        ("def f():\n    from keystone_rollout.hooks.node.all_nodes import AllNodes as a",
         ["AllNodes"]),
        ("from keystone_rollout.hooks.node import machine", ["machine"]),
        ("import keystone_rollout.hooks.node.machine", ["keystone_rollout.hooks.node.machine"]),
        ("from keystone_rollout.hooks.database.keystone import wait_no_writers",
         ["wait_no_writers"]),
        ("from keystone_rollout.hooks.processes.command import CommandFailed, run_outside",
         ["run_outside"]),
        ("from airflow.providers.ssh.hooks.ssh import SSHHook", ["SSHHook"]),
        ("from keystone_rollout.hooks.haproxy.api import HaproxyError", []),
        ("from keystone_rollout.hooks.database.keystone import SET_GLOBAL", []),
        ("from keystone_rollout.hooks.files.cloud_file import project_path", []),
        ("from airflow.providers.ssh.operators.ssh import SSHOperator", []),
    ],
)  # fmt: skip
def test_a_system_that_is_made_elsewhere_would_be_seen(line: str, found: list[str]) -> None:
    assert list(systems_taken(ast.parse(line))) == found
