"""The changelog and the decisions say when, and what holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.documentation import ROOT

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
STATUS = re.compile(
    r"# .+\n\nDate: 20\d\d-\d\d-\d\d · Status: "
    r"(accepted|(?:accepted, in part )?superseded by \[(\d{4})\]\((\2-[\w-]+\.md)\))\n\n"
)
RELEASE = re.compile(r"^## (\d+\.\d+\.\d+) \(20\d\d-\d\d-\d\d\)$", re.MULTILINE)
SECTIONS = ["Breaking", "Behaviour", "Features", "Fixes"]


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_a_date_and_a_status(path: Path) -> None:
    found = STATUS.match(path.read_text(encoding="utf-8"))
    assert found, f"{path.name}: the third line is no 'Date: YYYY-MM-DD · Status: …'"
    newer = found[3]
    assert newer is None or (path.parent / newer in DECISIONS and newer > path.name)


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("Date: 2026-11-22 · Status: accepted", True),
        ("Date: 2026-11-22 · Status: superseded by [0017](0017-x.md)", True),
        ("Date: 2026-11-22 · Status: accepted, in part superseded by [0017](0017-x.md)", True),
        ("Date: 2026-11-22 · Status: superseded by [0017](0018-x.md)", False),
        ("Date: 22.11.2026 · Status: accepted", False),
        ("Date: 2026-11-22 · Status: perhaps", False),
        ("Because of this", False),
    ],
)
def test_another_line_would_be_seen(line: str, right: bool) -> None:
    assert bool(STATUS.match(f"# A title\n\n{line}\n\nText.\n")) is right


def test_the_changelogs_newest_release_is_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert RELEASE.findall((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))[0] == version


def test_the_changelog_has_four_kinds_of_section() -> None:
    for release in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        titles = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert titles == [each for each in SECTIONS if each in titles], release[:20]
