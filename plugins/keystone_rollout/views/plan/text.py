"""Print a plan as plain text, for a terminal and a task's log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from keystone_rollout.domain.verdict import Verdict

WIDTH = 96
_UNKNOWN = "not known: see what could not be read"
View = Mapping[str, Any]


def plan_text(view: View) -> str:
    """Return the plan of a view (views.plan.view), no line longer than WIDTH columns."""
    parts = (_head, _findings, _phases, _schema, _conditions, _nodes, _way, _estimate)
    blocks = ("\n".join(part(view)) for part in parts)
    return "\n\n".join(block for block in blocks if block) + "\n"


def _lines(text: str, begin: str = "", hang: int | None = None) -> list[str]:
    after = " " * (len(begin) if hang is None else hang)
    return wrap(
        text, WIDTH, initial_indent=begin, subsequent_indent=after, break_on_hyphens=False
    ) or [begin.rstrip()]  # fmt: skip


def _title(text: str) -> Iterator[str]:
    yield text.upper()


def _columns(rows: Sequence[Sequence[str]], widest: Sequence[int]) -> Iterator[str]:
    """Print rows in columns; the cells after one that is too wide go to the next line."""
    widths = [
        min(most, max((len(row[place]) for row in rows), default=0))
        for place, most in enumerate(widest)
    ]
    for row in rows:
        begin = "  "
        for text, width in zip(row[:-1], widths, strict=True):
            if len(text) > width:
                yield from _lines(f"{begin}{text}".strip(), "  ")
                begin = " " * (len(begin) + width + 2)
            else:
                begin += text.ljust(width + 2)
        yield from _lines(row[-1], begin)


def _head(view: View) -> Iterator[str]:
    yield f"{view['headline'].upper()}: KEYSTONE UPGRADE OF CLOUD {view['cloud']}"
    yield f"{view['source']} → {view['target']}, planned {view['planned']}"
    yield from _lines(view["summary"])
    yield from _lines(f"image {view['image']}")
    yield from _lines(f"schema at {view['stands']}")


def _findings(view: View) -> Iterator[str]:
    if view["findings"]:
        yield from _title("What stands in the way")
    for finding in view["findings"]:
        yield from _lines(str(Verdict(**finding)), "  - ")


def _phases(view: View) -> Iterator[str]:
    yield from _title("Migrations")
    if view["phases"] is None:
        yield f"  {_UNKNOWN}"
    for phase in view["phases"] or []:
        yield from _lines(phase["sentence"], "  ", 4)
        for each in phase["migrations"]:
            yield from _lines(each, "    ", 8)


def _schema(view: View) -> Iterator[str]:
    found = view["schema"]
    yield from _title("How large the schema is")
    if found is None:
        yield f"  {_UNKNOWN}"
        return
    yield from _lines(found["sentence"], "  ")
    yield from _rows(found["largest"], ("table", "rows", "size"), (36, 18), "none")


def _conditions(view: View) -> Iterator[str]:
    yield from _title("What this hop needs")
    for each in view["conditions"]:
        yield from _lines(f"{each['term']}: {each['text']}", "  ", 4)


def _nodes(view: View) -> Iterator[str]:
    yield from _title("Nodes, in this order")
    rows = [{**row, "number": str(row["number"])} for row in view["nodes"] or []]
    known = None if view["nodes"] is None else rows
    yield from _rows(known, ("number", "name", "release", "servers"), (3, 24, 30), "none")


def _way(view: View) -> Iterator[str]:
    yield from _title("What can be undone")
    for row in view["way"]:
        if row["no_return"]:
            yield "  " + " point of no return ".center(WIDTH - 4, "═")
        yield from _lines(f"{row['step']}: {row['text']}", "  ", 4)


def _estimate(view: View) -> Iterator[str]:
    found = view["estimate"]
    yield from _title("How long it takes")
    yield from _lines(found["sentence"], "  ")
    if not found["known"]:
        return
    rows = [
        {"step": "all steps, without the wait for approval", **found["total"]},
        {"step": "one node out of rotation", **found["out_of_rotation"]},
        *found["steps"],
    ]
    head = {"step": "", "median": "median", "worst": "worst", "runs": "measured in"}
    yield from _rows([head, *rows], ("step", "median", "worst", "runs"), (42, 14, 14), "")


def _rows(
    rows: Sequence[View] | None, keys: Sequence[str], widest: Sequence[int], none: str
) -> Iterator[str]:
    if not rows:
        yield f"  {_UNKNOWN if rows is None else none}"
        return
    yield from _columns([[row[key] for key in keys] for row in rows], widest)
