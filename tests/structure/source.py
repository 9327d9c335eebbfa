"""Read the project's source as text: which modules there are, and what each imports and calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
PACKAGE = "keystone_rollout"
PROGRAMS = ("machine", "lab", "production", "bench")
"""Packages beside plugins/, started by `python -m`."""


OPENS = {"open", "read_text", "write_text", "read_bytes", "write_bytes"}
"""Functions and methods that open a file."""


@cache
def modules() -> dict[str, Path]:
    """Return every module that is ours but the tests, by the name under which it is imported."""
    found = {f"dags.{path.stem}": path for path in (ROOT / "dags").glob("*.py")}
    for top in (PLUGINS, *(ROOT / name for name in PROGRAMS)):
        base = top if top == PLUGINS else ROOT
        for path in top.rglob("*.py"):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return dict(sorted(found.items()))


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(syntax: ast.Module) -> Iterator[str]:
    """Yield the full name of all that a module imports, wherever in it."""
    for node in ast.walk(syntax):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they point to"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(name: str) -> str | None:
    """Return the module of ours that an imported name is or is in; None for anybody else's."""
    if name in modules():
        return name
    above = name.rpartition(".")[0]
    return above if above in modules() else None


@cache
def importers() -> dict[str, list[str]]:
    """Return which modules import each module."""
    found: dict[str, list[str]] = {name: [] for name in modules()}
    for name, path in modules().items():
        for target in {ours(each) for each in imported(tree(path))} - {None, name}:
            assert target is not None
            found[target].append(name)
    return found


def called(syntax: ast.Module) -> set[str]:
    """Return the names of all functions and methods that a module calls."""
    functions = [node.func for node in ast.walk(syntax) if isinstance(node, ast.Call)]
    return {each.id for each in functions if isinstance(each, ast.Name)} | {
        each.attr for each in functions if isinstance(each, ast.Attribute)
    }
