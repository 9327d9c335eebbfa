"""Read a migration script as Python, without running it: which tables and triggers it names.

It is followed as it would run on MySQL in a rolling upgrade: branches for other databases are
left out, of a condition that is not understood both sides count. Where something changes the
database in a way that is not understood, the script is said to touch unknown tables.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from keystone_rollout.domain.scripts.script_effects import ScriptEffects
from keystone_rollout.domain.scripts.script_expressions import Expressions, Names
from keystone_rollout.domain.scripts.script_values import Mark, each, either

DEEPEST = 8
"""Functions of a script that call each other are followed so far."""


def read_script(text: str) -> ScriptEffects:
    """Return what the script does; what cannot be read as Python touches unknown tables."""
    effects = ScriptEffects()
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        effects.doubt(f"not readable as Python 3: {error}")
        return effects
    effects.title = _title(module)
    reader = _Reader(effects)
    try:
        reader.run_upgrade(module)
    except RecursionError:
        effects.doubt("nested too deeply to be followed")
    return effects


def _title(module: ast.Module) -> str:
    lines = (ast.get_docstring(module) or "").strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else ""


class _Reader:
    """Follow a script's statements with what its names stand for."""

    def __init__(self, effects: ScriptEffects) -> None:
        self.effects = effects
        self.module: Names = {}
        self.expressions = Expressions(effects, self.module, self._enter)
        self.depth = 0

    def run_upgrade(self, module: ast.Module) -> None:
        """Follow the module, then its function `upgrade`."""
        self.follow(module.body, self.module)
        upgrade = self.module.get("upgrade")
        if not isinstance(upgrade, ast.FunctionDef):
            self.effects.doubt("it has no function upgrade")
            return
        self._enter(upgrade, [Mark.ENGINE] if upgrade.args.args else [], {})

    def follow(self, body: Sequence[ast.stmt], names: Names) -> bool:
        """Follow statements; return True where they leave the function for certain."""
        return any(self._statement(statement, names) for statement in body)

    def _statement(self, node: ast.stmt, names: Names) -> bool:
        if isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break):
            self.expressions.inner(node, names)
            return isinstance(node, ast.Return | ast.Raise)
        handlers: list[tuple[type, Callable[[Any, Names], bool | None]]] = [
            (ast.If, self._if), (ast.For, self._for), (ast.While, self._while),
            (ast.With, self._with), (ast.Try, self._try), (ast.Assign, self._assign),
            (ast.AnnAssign, self._assign_one), (ast.AugAssign, self._augment),
            (ast.ImportFrom, self._import_from), (ast.FunctionDef, self._define),
        ]  # fmt: skip
        for kind, handle in handlers:
            if isinstance(node, kind):
                return bool(handle(node, names))
        if isinstance(node, ast.Match | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith):
            self.effects.doubt(f"line {node.lineno} is a statement that is not followed")
        elif not isinstance(node, ast.ClassDef):
            self.expressions.inner(node, names)
        return False

    def _if(self, node: ast.If, names: Names) -> bool:
        truth = self.expressions.conditions.truth(node.test, names)
        if truth is not None:
            return self.follow(node.body if truth else node.orelse, names)
        then, otherwise = dict(names), dict(names)
        left = self.follow(node.body, then)
        left_too = self.follow(node.orelse, otherwise)
        ways = [way for way, gone in ((then, left), (otherwise, left_too)) if not gone]
        self._merge(names, ways)
        return left and left_too

    def _merge(self, names: Names, ways: list[Names]) -> None:
        for name in dict.fromkeys(name for way in ways for name in way):
            names[name] = either(*(way[name] for way in ways if name in way))

    def _for(self, node: ast.For, names: Names) -> None:
        over = self.expressions.value(node.iter, names)
        listed = [item for one in each(over) if isinstance(one, list) for item in one]
        self.expressions.bind(node.target, either(*listed) if listed else None, names)
        self._maybe(node.body, names)
        self._maybe(node.orelse, names)

    def _while(self, node: ast.While, names: Names) -> None:
        self.expressions.value(node.test, names)
        self._maybe(node.body, names)

    def _maybe(self, body: Sequence[ast.stmt], names: Names) -> None:
        """Follow what may run or not: afterwards names stand for what they did, or do now."""
        way = dict(names)
        gone = self.follow(body, way)
        self._merge(names, [dict(names)] if gone else [dict(names), way])

    def _with(self, node: ast.With, names: Names) -> bool:
        for item in node.items:
            value = self.expressions.value(item.context_expr, names)
            if item.optional_vars is not None:
                self.expressions.bind(item.optional_vars, value, names)
        return self.follow(node.body, names)

    def _try(self, node: ast.Try, names: Names) -> bool:
        gone = self.follow(node.body, names)
        for handler in node.handlers:
            self._maybe(handler.body, names)
        self._maybe(node.orelse, names)
        return self.follow(node.finalbody, names) or (gone and not node.handlers)

    def _assign(self, node: ast.Assign, names: Names) -> None:
        value = self.expressions.value(node.value, names)
        for target in node.targets:
            self.expressions.bind(target, value, names)

    def _assign_one(self, node: ast.AnnAssign, names: Names) -> None:
        if node.value is not None:
            self.expressions.bind(node.target, self.expressions.value(node.value, names), names)

    def _augment(self, node: ast.AugAssign, names: Names) -> None:
        if isinstance(node.target, ast.Name):
            added = ast.BinOp(node.target, node.op, node.value)
            names[node.target.id] = self.expressions.value(ast.copy_location(added, node), names)

    def _import_from(self, node: ast.ImportFrom, names: Names) -> None:
        for alias in node.names:
            if (node.module, alias.name) == ("alembic", "op"):
                names[alias.asname or alias.name] = Mark.OPERATIONS

    def _define(self, node: ast.FunctionDef, names: Names) -> None:
        names[node.name] = node

    def _enter(self, function: ast.FunctionDef, positional: list[Any], named: Names) -> Any:
        """Follow one of the script's own functions."""
        if self.depth >= DEEPEST:
            self.effects.doubt(f"{function.name}() is nested too deeply to be followed")
            return None
        parameters = (parameter.arg for parameter in function.args.args)
        inside = dict(zip(parameters, positional, strict=False)) | named
        self.depth += 1
        self.follow(function.body, inside)
        self.depth -= 1
        returned = [
            self.expressions.value(node.value, inside)
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
        ]
        return either(*returned) if returned else None
