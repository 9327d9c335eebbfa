"""Collect what became of every fault, and write it down: for the terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HEADINGS = ("fault", "moment", "failed requests", "end state", "verdict")


@dataclass
class Outcome:
    """Hold what became of one fault; filled in while its test goes on."""

    number: str
    name: str
    moment: str
    failures: int | None = None
    requests: int | None = None
    end_state: str = "not reached"
    verdict: str = "FAILED: the test was broken off"
    seconds: float = 0.0
    log: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether all that was expected has happened."""
        return self.verdict == "ok"

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table, in the order of HEADINGS."""
        counted = "-" if self.failures is None else f"{self.failures} of {self.requests or 0}"
        title = f"{self.number} {self.name}".strip()
        return (title, self.moment, counted, self.end_state, self.verdict)


def terminal_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the table in columns of equal width; the last column is as long as it needs to be."""
    rows = [HEADINGS, *(outcome.cells() for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return lines


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the table as Markdown, with the time that all faults together took."""
    passed = sum(outcome.ok for outcome in outcomes)
    minutes, seconds = divmod(round(sum(outcome.seconds for outcome in outcomes)), 60)
    lines = [
        f"# {passed} of {len(outcomes)} faults as expected, in {minutes} min {seconds} s",
        "",
        _row(HEADINGS),
        _row(["---"] * len(HEADINGS)),
    ]
    lines += [_row(outcome.cells()) for outcome in outcomes]
    return "\n".join(lines) + "\n"


def write(outcomes: Sequence[Outcome], folder: Path) -> tuple[Path, Path]:
    """Write scenarios.json and scenarios.md into a folder; return both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data, table = folder / "scenarios.json", folder / "scenarios.md"
    data.write_text(
        json.dumps([{**asdict(outcome), "ok": outcome.ok} for outcome in outcomes], indent=1) + "\n"
    )
    table.write_text(markdown(outcomes))
    return data, table


def _row(cells: Sequence[str]) -> str:
    escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
