"""The page on reliability quotes the product's own words, and its promises name real tests."""

from __future__ import annotations

import re

from tests.docs.documentation import ROOT
from tests.docs.product_messages import fixed_texts, unsaid

TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?P<input>[^|]+) \| (?P<answer>[^|]+) \|$", re.MULTILINE)
QUOTE = re.compile(r"``` (.+?) ```|`([^`]+)`")
HEADS = {"input", "---", "promise"}


def answers() -> list[str]:
    bad = TEXT[TEXT.index("## Bad input") :]
    rows = [row["answer"] for row in ROW.finditer(bad) if row["input"] not in HEADS]
    return [first or second for row in rows for first, second in QUOTE.findall(row)]


def test_every_answer_to_bad_input_is_the_products_own() -> None:
    found = answers()
    assert len(found) > 30
    texts = fixed_texts()
    assert {quote: parts for quote in found if (parts := unsaid(quote, texts))} == {}


def test_every_promise_names_where_it_is_tested() -> None:
    promised = TEXT[TEXT.index("## What is promised") : TEXT.index("## What is not promised")]
    rows = [row for row in ROW.finditer(promised) if row["input"] not in HEADS]
    assert len(rows) > 12
    tested = [row["answer"] for row in rows]
    named = [each for each in tested if "](../tests/" in each]
    known = {name for row in tested for name in re.findall(r"\[([^]]+)\]\(\.\./tests", row)}
    words = {"simulation", "teardown", "node cycle", "lock", "lock control", "database client"}
    assert words - {"simulation"} <= known
    assert [row for row in tested if row not in named and not any(w in row for w in words)] == []
