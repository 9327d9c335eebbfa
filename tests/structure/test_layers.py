"""Imports point one way, and hooks and views never meet."""

from __future__ import annotations

import ast
from typing import NamedTuple

import pytest

from tests.structure.source import OPENS, PACKAGE, called, imported, modules, ours, tree


class Layer(NamedTuple):
    """Say what the modules of a layer may import beside their own layer's, and why no more."""

    below: set[str]
    reason: str


STEPS = {"procedures", "hooks", "views", "domain"}
LAYERS = {
    "dags": Layer({"dag_parts", "operators", "sensors"}, "a DAG file is wiring, to be read alone"),
    "dag_parts": Layer({"operators", "sensors", "hooks", "domain"},
                       "what DAGs share; it runs at each parse, so it starts no procedure"),
    "operators": Layer({"web", *STEPS}, "a task is one call of a procedure and its verdict"),
    "sensors": Layer({"web", *STEPS}, "as an operator; the two kinds do not know each other"),
    "plugin": Layer({"web"}, "every process of Airflow loads it"),
    "web": Layer({"procedures", "hooks", "domain"},
                 "shows what is written already; a page that is not a file is a procedure's"),
    "main": Layer({"cli"}, "an entry point"),
    "cli": Layer({"hooks", "views", "domain"}, "prints; works without a run"),
    "procedures": Layer({"hooks", "views", "domain"},
                        "the only place where several outside systems and words come together"),
    "hooks": Layer({"domain"}, "each speaks to one outside system, and knows no other one"),
    "views": Layer({"domain"}, "words and drawings from a record, without asking anybody"),
    "domain": Layer(set(), "decides; can be tested without anything outside"),
    "machine": Layer(set(), "below lab and production, and of use without Keystone"),
    "lab": Layer({"machine", "hooks", "views", "domain", "cli"},
                 "a cloud to practise on: it may read the product, never the other way round"),
    "production": Layer({"machine"}, "Airflow in containers; it knows neither lab nor product"),
    "bench": Layer({"machine", "lab", "hooks", "domain", "tests"},
                   "measures the load against the tests' Keystone, faster than a load asks"),
}  # fmt: skip

SHARED_HOOKS = {
    "hooks.clock": "what time it is",
    "hooks.files": "where things are on this machine",
    "hooks.trust": "whom a connection trusts",
    "hooks.places": "how any of the systems is reached: a node, a socket, a program",
}
"""The folders of hooks that others may use, and why."""

OUTSIDE = {
    "airflow", "docker", "paramiko", "requests", "socket", "subprocess", "keystoneauth1",
    "httpx", "urllib", "http", "os", "pathlib", "io", "tempfile", "shutil",
}  # fmt: skip
"""What the domain and views do not import: they decide and draw, and open nothing."""
NAMES_FILES = {"domain.run.systems": {"pathlib"}}
"""What of these is imported for a type: the Protocols say where a system keeps its files."""
READS_ITS_DATA = {"domain.releases.catalogue"}
"""Opens one file, beside it: the catalogue is data of the domain."""


def short(name: str) -> str:
    return name.removeprefix(f"{PACKAGE}.")


def layer(name: str) -> str:
    """Return the layer of a module of ours."""
    if name == "rollout_plugin":
        return "plugin"
    if name == f"{PACKAGE}.__main__":
        return "main"
    return short(name).split(".")[0]


def hook_folder(name: str) -> str:
    return ".".join(short(name).split(".")[:2])


def wrong_imports(module: str, syntax: ast.Module) -> set[str]:
    """Return what a module imports and may not."""
    own, wrong = layer(module), set()
    for name in imported(syntax):
        target = ours(name)
        above = name.split(".")[0]
        if target is None:
            outside = OUTSIDE - NAMES_FILES.get(short(module), set())
            if (own in ("domain", "views") and above in outside) or (
                above == "tests" and "tests" not in LAYERS[own].below
            ):
                wrong.add(above)
        elif (layer(target) != own and layer(target) not in LAYERS[own].below) or (
            own == layer(target) == "hooks"
            and hook_folder(target) not in {hook_folder(module), *SHARED_HOOKS}
        ):
            wrong.add(short(target))
    return wrong


def test_every_module_of_ours_is_in_a_layer() -> None:
    packages = {PACKAGE}
    assert {layer(name) for name in modules() if name not in packages} == LAYERS.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_imports_only_what_is_below_it(name: str) -> None:
    wrong = {
        short(module): sorted(found)
        for module, path in modules().items()
        if module != PACKAGE and layer(module) == name
        if (found := wrong_imports(module, tree(path)))
    }
    assert wrong == {}, LAYERS[name].reason


def test_domain_and_views_open_no_files() -> None:
    wrong = {
        short(module): sorted(found)
        for module, path in modules().items()
        if layer(module) in ("domain", "views") and short(module) not in READS_ITS_DATA
        if (found := OPENS & called(tree(path)))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("domain.verdict", "from keystone_rollout.hooks.files.cloud_file import load_cloud",
         {"hooks.files.cloud_file"}),
        ("domain.verdict", "import airflow.sdk", {"airflow"}),
        ("domain.verdict", "def f():\n    import socket", {"socket"}),
        ("domain.verdict", "import pathlib", {"pathlib"}),
        ("domain.run.systems", "from pathlib import Path", set()),
        ("domain.run.systems", "import socket", {"socket"}),
        ("views.plan.text", "from pathlib import Path", {"pathlib"}),
        ("views.plan.text", "from keystone_rollout.hooks.haproxy.api import HaproxyError",
         {"hooks.haproxy.api"}),
        ("hooks.haproxy.runtime", "from keystone_rollout.views.plan.text import plan_text",
         {"views.plan.text"}),
        ("hooks.haproxy.runtime", "from keystone_rollout.hooks.node.machine import NodeMachine",
         {"hooks.node.machine"}),
        ("hooks.haproxy.runtime", "from keystone_rollout.hooks.files.project import INCLUDE",
         set()),
        ("hooks.node.machine", "from keystone_rollout.hooks.places.ssh import SshPlace", set()),
        ("hooks.places.ssh", "from keystone_rollout.hooks.node.machine import NodeMachine",
         {"hooks.node.machine"}),
        ("hooks.node.all_nodes", "from keystone_rollout.hooks.node.machine import NodeMachine",
         set()),
        ("hooks.files.project", "from lab import paths", {"lab.paths"}),
        ("procedures.run.gate", "from operators.load_control import StartLoadOperator",
         {"operators.load_control"}),
        ("operators.load_control", "import sensors.load_watch", {"sensors.load_watch"}),
        ("operators.load_control", "from keystone_rollout.procedures.run import gate", set()),
        ("dags.keystone_plan", "from keystone_rollout.procedures.run.gate import require",
         {"procedures.run.gate"}),
        ("dag_parts.load_group", "from keystone_rollout.procedures.run.gate import require",
         {"procedures.run.gate"}),
        ("web.app", "from keystone_rollout.views.report import view", {"views.report.view"}),
        ("production.cli", "from lab import paths", {"lab.paths"}),
        ("lab.cli", "from production import paths", {"production.paths"}),
        ("lab.cli", "from tests import free_port", {"tests"}),
    ],
)  # fmt: skip
def test_a_wrong_import_would_be_seen(module: str, line: str, found: set[str]) -> None:
    full = module if module.split(".")[0] in ("operators", "dags", "lab", "production") else (
        f"{PACKAGE}.{module}"
    )  # fmt: skip
    assert full in modules()
    assert wrong_imports(full, ast.parse(line)) == found


def test_an_open_would_be_seen() -> None:
    assert called(ast.parse("Path('x').read_text(); open('y')")) & OPENS == {"read_text", "open"}
