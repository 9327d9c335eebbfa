"""The table that says what became of each fault."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scenarios.outcome_table import Outcome, markdown, terminal_lines, write

KILLED = Outcome("1", "SIGKILL in expand", "step expand started", 0, 812, "killed", "ok", 61.0)
BROKEN = Outcome("16", "database | gone", "step expand started")


def test_the_terminal_has_one_line_for_each_fault() -> None:
    lines = terminal_lines([KILLED, BROKEN])
    assert lines[0].split() == ["fault", "moment", "failed", "requests", "end", "state", "verdict"]
    assert lines[1].startswith("1 SIGKILL in expand  ")
    assert "  0 of 812  " in lines[1]
    assert lines[1].endswith("  ok")
    assert "  -  " in lines[2]
    assert lines[2].endswith("FAILED: the test was broken off")
    assert lines[1].index("0 of 812") == lines[2].index("-  ", lines[2].index("started"))


def test_markdown_counts_and_escapes() -> None:
    text = markdown([KILLED, BROKEN])
    assert text.startswith("# 1 of 2 faults as expected, in 1 min 1 s\n")
    assert "| 1 SIGKILL in expand | step expand started | 0 of 812 | killed | ok |" in text
    assert "16 database \\| gone" in text


def test_both_files_are_written(tmp_path: Path) -> None:
    data, table = write([KILLED, BROKEN], tmp_path / "new")
    read = json.loads(data.read_text())
    assert [row["number"] for row in read] == ["1", "16"]
    assert [row["ok"] for row in read] == [True, False]
    assert read[0]["requests"] == 812
    assert table.read_text() == markdown([KILLED, BROKEN])
    assert (data.name, table.name) == ("scenarios.json", "scenarios.md")


def test_an_outcome_is_bad_until_proven_good() -> None:
    assert not Outcome("7", "bad configuration", "").ok
