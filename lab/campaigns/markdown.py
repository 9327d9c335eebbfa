"""Plain Markdown: tables and the words that all pages of measurements share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from keystone_rollout.domain import units as report_words

Rows = Sequence[Sequence[str]]
NOT_MEASURED = "–"


def table(header: Sequence[str], rows: Rows) -> str:
    """Return a table; columns whose name ends in a space are for numbers, set to the right."""
    rule = ["---:" if name.endswith(" ") else "---" for name in header]
    lines = [[name.strip() for name in header], rule, *[[cell(each) for each in r] for r in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(text: str) -> str:
    """Return text that cannot break out of a table's cell."""
    return " ".join(text.replace("|", "\\|").split()) or NOT_MEASURED


def quote(text: str) -> str:
    """Return several lines as a block of code, whatever is in them."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()) + "\n"


def number(value: int | None) -> str:
    """Return a count such as 12,340."""
    return NOT_MEASURED if value is None else report_words.count(value)


def decimal(value: float | None, unit: str = "", places: int = 1) -> str:
    """Return a measured value with its unit."""
    return NOT_MEASURED if value is None else f"{value:.{places}f}{unit}"


def duration(seconds: float | None) -> str:
    """Return seconds in words, such as 3 min 5 s."""
    return NOT_MEASURED if seconds is None else report_words.duration(seconds)


def gibibytes(value: int) -> str:
    """Return bytes as GiB."""
    return f"{value / 1024**3:.1f} GiB"


def by_phase(values: Mapping[str, str]) -> str:
    """Return versions of all phases: one where they are equal, else each with its phase."""
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return ", ".join(f"{phase} {value}" for phase, value in values.items())


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step: whoever reads it never sees half of it, not after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
