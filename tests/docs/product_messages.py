"""Collect what the product can say: the texts in the source of plugins/."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.docs.documentation import ROOT

VARIABLE = "…"
"""Stands in a quote for names and numbers."""

SHORTEST, LEADING = 4, 10
"""Characters that a fixed part has to have to be looked for, and the longest one of a quote."""


@cache
def fixed_texts(folder: Path = ROOT / "plugins") -> tuple[str, ...]:
    """Return the fixed parts of every text in the modules of a folder, docstrings apart."""
    return tuple(
        " ".join(part.split())
        for path in sorted(folder.rglob("*.py"))
        for part in _texts(ast.parse(path.read_text(encoding="utf-8")))
        if part.strip()
    )


def unsaid(quote: str, texts: tuple[str, ...]) -> list[str]:
    """Return the parts of a quote that no text contains; what holds no words cannot be a quote."""
    parts = [part.strip() for part in quote.split(VARIABLE)]
    parts = [part for part in parts if len(part) >= SHORTEST]
    if max(map(len, parts), default=0) < LEADING:
        return [quote]
    return [part for part in parts if not any(part in text for text in texts)]


def _texts(tree: ast.Module) -> Iterator[str]:
    skipped = set(_docstrings(tree))
    for node in ast.walk(tree):
        # The parts of an f-string are constants of their own.
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node.value


def _docstrings(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else ():
            if isinstance(each, ast.Expr):
                yield each.value
