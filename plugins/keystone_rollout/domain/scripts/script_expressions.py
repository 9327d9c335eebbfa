"""Find out what the expressions of a migration script stand for, and note what their calls do."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from keystone_rollout.domain.scripts.script_calls import Call, Calls
from keystone_rollout.domain.scripts.script_conditions import Conditions
from keystone_rollout.domain.scripts.script_effects import ScriptEffects
from keystone_rollout.domain.scripts.script_sql import HOLE
from keystone_rollout.domain.scripts.script_values import (
    ColumnValue,
    Mark,
    TableValue,
    each,
    either,
)

Names = dict[str, Any]
Enter = Callable[[ast.FunctionDef, list[Any], Names], Any]
_COLUMNS = {"c", "columns"}
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


class Expressions:
    """Evaluate expressions as far as tables, texts and connections go.

    :param module: what the names of the module stand for
    :param enter: follows one of the script's own functions
    """

    def __init__(self, effects: ScriptEffects, module: Names, enter: Enter) -> None:
        self.calls = Calls(effects)
        self.conditions = Conditions(self.value)
        self.module = module
        self.enter = enter

    def value(self, node: ast.expr, names: Names) -> Any:
        """Return what an expression stands for; None where that is nothing that matters here."""
        handlers: list[tuple[type, Callable[[Any, Names], Any]]] = [
            (ast.Call, self._call), (ast.Attribute, self._attribute), (ast.Name, self._name),
            (ast.BinOp, self._operator), (ast.Subscript, self._subscript),
            (ast.IfExp, self._choice), (ast.JoinedStr, self._format),
        ]  # fmt: skip
        for kind, handle in handlers:
            if isinstance(node, kind):
                return handle(node, names)
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return [self.value(item, names) for item in node.elts]
        if isinstance(node, ast.NamedExpr):
            names[node.target.id] = found = self.value(node.value, names)
            return found
        if isinstance(node, _COMPREHENSIONS):
            return self._comprehension(node, names)
        self.inner(node, names)
        return None

    def _comprehension(self, node: Any, names: Names) -> None:
        inside = dict(names)
        for part in node.generators:
            over = self.value(part.iter, inside)
            listed = [item for one in each(over) if isinstance(one, list) for item in one]
            self.bind(part.target, either(*listed) if listed else None, inside)
        self.inner(node, inside)

    def _name(self, node: ast.Name, names: Names) -> Any:
        return names.get(node.id, self.module.get(node.id))

    def _attribute(self, node: ast.Attribute, names: Names) -> Any:
        base = self.value(node.value, names)
        return either(*(_attribute_of(one, node.attr) for one in each(base)))

    def _subscript(self, node: ast.Subscript, names: Names) -> Any:
        base, key = self.value(node.value, names), self.value(node.slice, names)
        if base is Mark.METADATA:  # metadata.tables["user"]
            return TableValue(key if isinstance(key, str) else None)
        return base if isinstance(base, ColumnValue) else None

    def _choice(self, node: ast.IfExp, names: Names) -> Any:
        truth = self.conditions.truth(node.test, names)
        ways = [
            way for way, goes in ((node.body, True), (node.orelse, False)) if truth != (not goes)
        ]
        return either(*(self.value(way, names) for way in ways))

    def _format(self, node: ast.JoinedStr, names: Names) -> str:
        parts = []
        for part in node.values:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            found = self.value(inner, names)
            parts.append(found if isinstance(found, str) else HOLE)
        return "".join(parts)

    def _operator(self, node: ast.BinOp, names: Names) -> Any:
        left, right = self.value(node.left, names), self.value(node.right, names)
        if isinstance(node.op, ast.Mod):
            return either(*(_filled(one, right) for one in each(left)))
        if isinstance(node.op, ast.Add):
            return either(*(_joined(a, b) for a in each(left) for b in each(right)))
        return None

    def _call(self, node: ast.Call, names: Names) -> Any:
        positional = [
            self.value(each_one.value if isinstance(each_one, ast.Starred) else each_one, names)
            for each_one in node.args
        ]
        named = {word.arg or "**": self.value(word.value, names) for word in node.keywords}
        function = node.func
        if isinstance(function, ast.Attribute):
            receiver = self.value(function.value, names)
            if isinstance(receiver, str) and function.attr in ("format", "join", "strip"):
                return re.sub(r"\{\w*\}", HOLE, receiver) if function.attr == "format" else None
            return self.calls.make(Call(receiver, function.attr, positional, named))
        target = self.value(function, names)
        if isinstance(target, ast.FunctionDef):
            return self.enter(target, positional, named)
        if target is Mark.ENGINE:  # a sessionmaker
            return Mark.ENGINE
        name = function.id if isinstance(function, ast.Name) else ""
        return self.calls.make(Call(None, name, positional, named))

    def inner(self, node: ast.AST, names: Names) -> None:
        """Evaluate every expression in a node."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child, names)

    def bind(self, target: ast.expr, value: Any, names: Names) -> None:
        """Let names stand for a value from now on."""
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            items = value if isinstance(value, list) else []
            for place, each_target in enumerate(target.elts):
                self.bind(each_target, items[place] if place < len(items) else None, names)


def _attribute_of(base: Any, name: str) -> Any:
    if isinstance(base, TableValue):
        return ColumnValue(base) if name in _COLUMNS else None
    if isinstance(base, ColumnValue):
        return base
    if base is Mark.ENGINE:
        return Mark.DIALECT if name == "name" else Mark.ENGINE
    return base if base is Mark.METADATA else None


def _filled(text: Any, values: Any) -> Any:
    if not isinstance(text, str):
        return None
    known = tuple(values) if isinstance(values, list) else (values,)
    try:
        return text % tuple(HOLE if not isinstance(each, str) else each for each in known)
    except (TypeError, ValueError):
        return re.sub(r"%(?:\(\w*\))?[sdr]", HOLE, text)


def _joined(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        parts = (each if isinstance(each, str) else HOLE for each in (left, right))
        return "".join(parts)
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    return None
