"""No decision hangs on a sentence: what people read in a record means nothing to the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.structure.source import PACKAGE, modules, tree

READ_BY_PEOPLE = {"text", "reason", "measured", "check", "gate"}
"""Fields of events and verdicts; views alone may look into them, to lay them out."""
LOOKS = {"startswith", "endswith", "split", "partition", "rpartition", "find", "index", "count"}
SEARCHES = {"match", "search", "fullmatch", "findall", "finditer", "sub", "split"}


def is_sentence(node: ast.AST) -> bool:
    """Tell whether an expression is such a field of something."""
    if isinstance(node, ast.Attribute):
        return node.attr in READ_BY_PEOPLE and not _is_self(node.value)
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and node.slice.value in READ_BY_PEOPLE
    )


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def parsed_sentences(syntax: ast.Module) -> Iterator[int]:
    """Yield the lines in which a sentence is compared, searched or taken apart."""
    for node in ast.walk(syntax):
        if isinstance(node, ast.Compare):
            if any(is_sentence(each) for each in (node.left, *node.comparators)):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, name = node.func.value, node.func.attr
            is_re = isinstance(owner, ast.Name) and owner.id == "re"
            if (name in LOOKS and is_sentence(owner)) or (
                name in SEARCHES and is_re and any(is_sentence(each) for each in node.args)
            ):
                yield node.lineno


def test_nothing_outside_views_takes_a_sentence_apart() -> None:
    found = [
        f"{name}:{line}"
        for name, path in modules().items()
        if not name.startswith(f"{PACKAGE}.views.")
        for line in parsed_sentences(tree(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("event['gate'] == 'backup'", True),
        ("'13.0.4 running' in event.text", True),
        ("if verdict.check.startswith('load '): pass", True),
        ("re.search('x', step.reason)", True),
        ("verdict.measured.split()", True),
        ("'a' not in step['reason']", True),
        ("event.look is Look.BACKUP", False),
        ("print(event.text)", False),
        ("event.text or 'nothing'", False),
        ("self.text == other", False),
    ],
)
def test_a_sentence_that_is_taken_apart_would_be_seen(line: str, seen: bool) -> None:
    assert bool(list(parsed_sentences(ast.parse(line)))) is seen
