"""Dependencies point one way: dags → task_groups → operators, sensors → hooks → rollout.

Beside them stand programs: production → lab → hooks. Nothing that Airflow loads imports these.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"

MAY_IMPORT = {
    "dags": {"task_groups", "operators", "sensors", "forms"},
    "task_groups": {"task_groups", "operators", "sensors"},
    "operators": {"operators", "hooks", "rollout"},
    "sensors": {"sensors", "hooks", "rollout"},
    "hooks": {"hooks", "rollout"},
    "rollout": {"rollout"},
    "forms": {"forms", "hooks", "rollout"},
    "pages": {"pages", "hooks", "rollout"},
    "the plugin": {"pages", "hooks"},
    "lab": {"lab", "hooks", "rollout"},
    "production": {"production", "lab"},
    # It measures the load against the tests' small Keystone, which answers faster than a load asks.
    "bench": {"bench", "lab", "hooks", "rollout", "tests"},
    "keystone_rollout": {"keystone_rollout"},
}
OURS = {*MAY_IMPORT, "tests"}
PROGRAMS = {"lab", "production", "bench", "keystone_rollout"}
"""Packages beside plugins/, started by `python -m`."""
NOT_IN_ROLLOUT = {
    "airflow", "docker", "paramiko", "requests", "socket", "subprocess", "keystoneauth1",
    "httpx", "urllib", "http", "os", "pathlib", "io", "tempfile", "shutil",
}  # fmt: skip
OPENS_FILES = {"open", "read_text", "write_text", "read_bytes", "write_bytes"}


def files(layer: str) -> list[Path]:
    if layer == "the plugin":
        return sorted(PLUGINS.glob("*.py"))
    folder = ROOT / layer if layer == "dags" or layer in PROGRAMS else PLUGINS / layer
    return sorted(folder.rglob("*.py"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Return the top-level names a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they point to"
            yield (node.module or "").split(".")[0]


def called(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield function.id
            elif isinstance(function, ast.Attribute):
                yield function.attr


def wrong_imports(layer: str, tree: ast.Module) -> set[str]:
    """Return what a module of a layer imports and may not."""
    names = set(imported(tree))
    wrong = (names & OURS) - MAY_IMPORT[layer]
    return wrong | (names & NOT_IN_ROLLOUT) if layer == "rollout" else wrong


def test_every_package_of_ours_is_a_layer() -> None:
    found = [*PLUGINS.glob("*/__init__.py"), *ROOT.glob("*/__main__.py")]
    assert {path.parent.name for path in found} == MAY_IMPORT.keys() - {"dags", "the plugin"}


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_every_layer_imports_only_what_is_below_it(layer: str) -> None:
    assert files(layer)
    wrong = {
        str(path.relative_to(ROOT)): sorted(found)
        for path in files(layer)
        if (found := wrong_imports(layer, ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert wrong == {}


def test_the_domain_opens_no_files() -> None:
    wrong = {
        path.name: sorted(found)
        for path in files("rollout")
        if (found := OPENS_FILES & set(called(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("layer", "line", "found"),
    [
        ("rollout", "from hooks.gate import settle", {"hooks"}),
        ("rollout", "import airflow.sdk", {"airflow"}),
        ("rollout", "def f():\n    import socket", {"socket"}),
        ("hooks", "from operators.preflight import PreflightOperator", {"operators"}),
        ("hooks", "from lab import paths", {"lab"}),
        ("dags", "from hooks.gate import settle", {"hooks"}),
        ("task_groups", "from hooks.gate import settle", {"hooks"}),
        ("operators", "import sensors.load_watch", {"sensors"}),
        ("operators", "from pages.run_pages_app import make_app", {"pages"}),
        ("pages", "from operators.write_report import failed_tasks", {"operators"}),
        ("forms", "from production import paths", {"production"}),
        ("lab", "from production import paths", {"production"}),
        ("production", "from hooks.cloud_file import load_cloud", {"hooks"}),
        ("keystone_rollout", "from rollout.cloud import Cloud", {"rollout"}),
        ("operators", "from hooks.gate import settle", set()),
    ],
)
def test_a_wrong_import_would_be_seen(layer: str, line: str, found: set[str]) -> None:
    assert wrong_imports(layer, ast.parse(line)) == found


def test_an_open_would_be_seen() -> None:
    assert set(called(ast.parse("Path('x').read_text(); open('y')"))) & OPENS_FILES == {
        "read_text", "open",
    }  # fmt: skip


def plugin_stems() -> list[str]:
    layers = MAY_IMPORT.keys() - {"dags", *PROGRAMS}
    stems = [path.stem for layer in layers for path in files(layer)]
    packages = [path.name for path in PLUGINS.iterdir() if (path / "__init__.py").exists()]
    return sorted({*stems, *packages} - {"__init__"})


@pytest.mark.parametrize("stem", plugin_stems())
def test_no_plugin_module_shadows_a_library(stem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow imports plugin files under their bare stem, and puts their folder on the path."""
    outside = [path for path in sys.path if not Path(path or ".").resolve().is_relative_to(ROOT)]
    inside = [path for path in sys.path if "site-packages" in path]
    monkeypatch.setattr(sys, "path", [*outside, *inside])
    for name in [name for name in sys.modules if name.split(".")[0] == stem]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    assert importlib.util.find_spec(stem) is None


def test_a_shadowing_stem_would_be_seen() -> None:
    assert importlib.util.find_spec("docker") is not None
