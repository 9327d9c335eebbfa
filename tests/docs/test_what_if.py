"""The page for the night quotes the product's own words, and answers for every tested fault."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.documentation import ROOT, Page, read_page
from tests.docs.product_messages import fixed_texts, unsaid

PAGE = read_page("docs/what-if.md")
SCENARIOS = sorted((ROOT / "tests" / "scenarios").glob("test_*.py"))
FAULT = re.compile(r"\bfault (\d+[a-z]?(?:\+\d+[a-z]?)*)", re.IGNORECASE)


def faults_in(tree: ast.Module) -> Iterator[str]:
    """Yield the number of every fault that a module of scenarios declares."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name, first = getattr(node.func, "id", ""), node.args[0]
        if name.lower() == "fault" and isinstance(first, ast.Constant) and first.value:
            yield str(first.value)


def declared() -> set[str]:
    return {number for path in SCENARIOS for number in faults_in(ast.parse(path.read_text()))}


def test_every_fault_is_answered_and_every_answer_is_of_a_fault() -> None:
    assert len(declared()) > 30
    assert set(FAULT.findall(PAGE.text)) == declared()


def test_both_ways_of_declaring_a_fault_are_seen() -> None:
    tree = ast.parse("Fault('1a', 'x')\n@fault('2', 'y', 'z')\ndef f(): ...\nFault('', '', e)")
    assert list(faults_in(tree)) == ["1a", "2"]


def test_every_quoted_message_is_the_products_own() -> None:
    quotes = list(PAGE.quotes())
    assert len(quotes) > 30
    texts = fixed_texts()
    wrong = [
        f"{quote.page}:{quote.line}: no text in plugins/ contains {part!r}"
        for quote in quotes
        for part in unsaid(quote.text, texts)
    ]
    assert wrong == []


def test_quotes_are_read_as_they_are_written() -> None:
    page = Page(Path("x.md"), "a\n\n> one `two`\n> three\n\n> four\n\nb\n")
    assert [(each.line, each.text) for each in page.quotes()] == [
        (3, "one `two` three"),
        (6, "four"),
    ]


@pytest.mark.parametrize(
    ("quote", "parts"),
    [
        ("node … is not back in rotation", []),
        ("… is not back in rotation", []),
        ("is not back in use", ["is not back in use"]),
        ("is not back in rotation … because of …", ["because of"]),
        ("a docstring of a function", ["a docstring of a function"]),
        ("…", ["…"]),
        ("node …", ["node …"]),
    ],
)
def test_a_quote_of_what_nobody_says_is_found(quote: str, parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        'def f(x):\n    """Be a docstring of a function."""\n'
        '    raise E(f"node {x} is not "\n            f"back in rotation")\n'
    )
    assert unsaid(quote, fixed_texts(tmp_path)) == parts
