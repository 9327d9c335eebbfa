"""Decide conditions of migration scripts as they turn out on MySQL in a rolling upgrade."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from keystone_rollout.domain.scripts.script_values import Mark

MYSQL = "mysql"
TRIGGERS_USED = "USE_TRIGGERS"
"""Keystone's own flag: true wherever the three phases are run apart."""


class Conditions:
    """Decide what is known beforehand: which database it is, and that the upgrade is rolling.

    :param value: returns what an expression stands for
    """

    def __init__(self, value: Callable[[ast.expr, dict[str, Any]], Any]) -> None:
        self.value = value

    def truth(self, node: ast.expr, names: dict[str, Any]) -> bool | None:
        """Return how a condition turns out, or None where that is not known."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.truth(node.operand, names)
            return None if inner is None else not inner
        if isinstance(node, ast.BoolOp):
            return self._several(node, names)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._compared(node, names)
        if isinstance(node, ast.Attribute) and node.attr == TRIGGERS_USED:
            return True
        self.value(node, names)
        return None

    def _several(self, node: ast.BoolOp, names: dict[str, Any]) -> bool | None:
        decisive = isinstance(node.op, ast.Or)
        parts = [self.truth(part, names) for part in node.values]
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive

    def _compared(self, node: ast.Compare, names: dict[str, Any]) -> bool | None:
        left = self.value(node.left, names)
        right = self.value(node.comparators[0], names)
        if isinstance(left, str) and right is Mark.DIALECT:
            left, right = right, left
        if left is Mark.ENGINE and isinstance(right, str):
            return _equal(node.ops[0], False)  # an engine is never equal to a name
        if left is not Mark.DIALECT:
            return None
        if isinstance(right, str):
            return _equal(node.ops[0], right == MYSQL)
        if isinstance(right, list) and all(isinstance(each, str) for each in right):
            return _contained(node.ops[0], MYSQL in right)
        return None


def _equal(operator: ast.cmpop, same: bool) -> bool | None:
    answers: Mapping[type, bool] = {ast.Eq: same, ast.NotEq: not same}
    return answers.get(type(operator))


def _contained(operator: ast.cmpop, within: bool) -> bool | None:
    answers: Mapping[type, bool] = {ast.In: within, ast.NotIn: not within}
    return answers.get(type(operator))
