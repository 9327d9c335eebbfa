"""Every module is in a folder where it is found in one guess, and none is a splinter."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.structure.source import (
    OPENS,
    PACKAGE,
    PLUGINS,
    ROOT,
    called,
    imported,
    importers,
    modules,
    ours,
    tree,
)

MOST_MODULES = 15
SPLINTER_LINES = 40
SPLINTERS = {
    "rollout_plugin": "the file that Airflow loads",
    f"{PACKAGE}.web.plugin": "loaded in every process of Airflow, so it imports nothing that costs",
    f"{PACKAGE}.cli.reference": "a program of its own",
    f"{PACKAGE}.hooks.database.marks": "one of our tables, beside the lock's",
    "operators.backup_database": "one task of one DAG, found by its name",
    "operators.rollback_control": "one task of one DAG, found by its name",
}
"""Modules under 40 lines that one module or none imports, each with the reason why it is alone."""

OUTSIDE = {
    "airflow", "docker", "paramiko", "keystoneauth1", "socket", "subprocess", "os", "pathlib",
    "tempfile", "shutil", "apprise", "importlib", "pkgutil", "time",
}  # fmt: skip
"""What a module of hooks/ imports, itself or through its own folder, if it touches anything."""

TESTED_ELSEWHERE = {"locust": ROOT / "include" / "locust"}
"""Folders of tests/unit whose modules are neither in plugins/ nor in a package of the root."""


def sizes(folder: Path) -> Counter[Path]:
    """Return how many modules each folder below one has, `__init__.py` not counted."""
    files = (path for path in folder.rglob("*.py") if path.name != "__init__.py")
    return Counter(path.parent for path in files)


def test_no_folder_has_more_modules_than_a_reader_can_choose_from() -> None:
    counted = sizes(PLUGINS)
    assert len(counted) > 20
    assert {str(f.relative_to(ROOT)): n for f, n in counted.items() if n > MOST_MODULES} == {}


def test_a_full_folder_would_be_seen(tmp_path: Path) -> None:
    for number in range(MOST_MODULES + 1):
        (tmp_path / f"module_{number}.py").touch()
    (tmp_path / "__init__.py").touch()
    assert sizes(tmp_path) == {tmp_path: MOST_MODULES + 1}


def is_splinter(name: str, path: Path) -> bool:
    """Tell whether a module of plugins/ is short and serves one other module, or none."""
    if path.name in ("__init__.py", "__main__.py") or not path.is_relative_to(PLUGINS):
        return False
    lines = len(path.read_text(encoding="utf-8").splitlines())
    return lines < SPLINTER_LINES and len(importers()[name]) < 2


def test_a_short_module_that_serves_one_other_has_a_reason() -> None:
    found = {name for name, path in modules().items() if is_splinter(name, path)}
    assert found == SPLINTERS.keys()


def touches_something(name: str) -> bool:
    """Tell whether a module imports what reaches outside, or a module beside it that does."""
    syntax = tree(modules()[name])
    tops = {each.split(".")[0] for each in imported(syntax)}
    folder = name.rpartition(".")[0]
    beside = {each for each in map(ours, imported(syntax)) if each and each != name}
    return (
        bool(tops & OUTSIDE)
        or bool(called(syntax) & OPENS)
        or any(each.startswith(f"{folder}.") for each in beside)
    )


@pytest.mark.parametrize(
    "name", [name for name in modules() if name.startswith(f"{PACKAGE}.hooks.") if "." in name[24:]]
)
def test_a_hook_touches_an_outside_system_a_file_or_a_process(name: str) -> None:
    assert touches_something(name), f"{name} decides and touches nothing: it is no hook"


def source_folder(tests: Path) -> Path | None:
    """Return the folder that a folder of tests/unit mirrors."""
    inside = tests.relative_to(ROOT / "tests" / "unit")
    if str(inside) in TESTED_ELSEWHERE:
        return TESTED_ELSEWHERE[str(inside)]
    tops = (PLUGINS / PACKAGE, PLUGINS, ROOT, ROOT / "tests")
    return next((top / inside for top in tops if (top / inside).is_dir()), None)


def is_mirrored(path: Path) -> bool:
    """Tell whether a file of tests is named after a module at the same place of the tree."""
    folder = source_folder(path.parent)
    if folder is None:
        return False
    stem = path.stem.removeprefix("test_")
    names = [each.stem for each in folder.iterdir() if each.suffix in (".py", ".sh", ".yaml")]
    names += [each.name for each in folder.iterdir() if each.is_dir()]
    return any(stem == name or stem.startswith(f"{name}_") for name in names)


def test_unit_tests_mirror_the_tree() -> None:
    files = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
    assert len(files) > 60
    assert [str(path.relative_to(ROOT)) for path in files if not is_mirrored(path)] == []


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("domain/node/test_cycle.py", True),
        ("domain/node/test_privileges_sudoers.py", True),
        ("operators/test_migrate_schema.py", True),
        ("domain/node/test_nothing.py", False),
        ("nowhere/test_cycle.py", False),
        ("test_cycle.py", False),
    ],
)
def test_a_test_in_the_wrong_room_would_be_seen(path: str, found: bool) -> None:
    assert is_mirrored(ROOT / "tests" / "unit" / path) is found


def top_stems() -> list[str]:
    """Return the names that plugins/ puts at the top level of Python's modules."""
    paths = [path for path in PLUGINS.iterdir() if path.name != "__pycache__"]
    return sorted(path.stem for path in paths if path.is_dir() or path.suffix == ".py")


def test_plugins_claims_three_names_and_one_file() -> None:
    assert top_stems() == ["keystone_rollout", "operators", "rollout_plugin", "sensors"]


def test_an_import_is_counted_for_the_module_that_has_it() -> None:
    """What the rule of splinters stands on."""
    found = importers()[f"{PACKAGE}.hooks.database.sql"]
    assert f"{PACKAGE}.hooks.database.keystone" in found
    assert ours(f"{PACKAGE}.hooks.database.sql.text") == f"{PACKAGE}.hooks.database.sql"
    assert list(imported(ast.parse("import a.b\nfrom c import d as e"))) == ["a.b", "c.d"]
