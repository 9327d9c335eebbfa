"""The report is one offline HTML file, whatever the run left behind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from keystone_rollout.domain.run.events import Noted
from keystone_rollout.domain.run.record import read_record
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.report import TEMPLATES, write_report, write_run_report
from tests.stand_ins import record_example as example
from tests.stand_ins.html_page import Page

RUNS = [
    example.succeeded,
    example.failed,
    example.failed_in_preflight,
    example.failed_at_once,
    example.without_load,
    example.restore_refused,
    example.restored,
]


@pytest.mark.parametrize("make", RUNS)
def test_every_run_has_a_well_formed_page_without_network(make: Any) -> None:
    text = example.page(make())
    page = Page(text)
    assert not [a for a in page.attributes if a[1] in ("src", "href", "xlink:href")]
    assert not [a for a in page.attributes if a[0] in ("script", "link", "iframe", "object")]
    assert not re.search(r"@import|url\((?!#)", text)
    numbers = [value for _tag, name, value in page.attributes if name in ("d", "x", "y", "width")]
    assert not [value for value in numbers if re.search("None|nan|inf", value)]
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_the_verdict_stands_first() -> None:
    words = Page(example.page(example.succeeded())).words
    assert words.index("Succeeded") < 5
    text = " ".join(words)
    assert "12.0.3 (Pike) → 13.0.4 (Queens)" in text
    assert text.index("requests failed") < text.index("Limits") < text.index("Preflight")
    assert "before 0 · during 1 · after 0" in text
    assert "412 users created, 187 deleted, 225 looked up and logged in" in text
    assert "sha256:28184085ec09" in text


def test_a_red_run_says_why_and_what_to_do() -> None:
    text = Page(example.page(example.failed())).text
    why = text[text.index("Why it failed") : text.index("The run")]
    for label in ("Measured", "Limit 0", "Consequence", "Next step open the page of link Load"):
        assert label in why
    assert "keystone-2 is rolled back to 12.0.3, ready and UP" in why
    assert "Red tasks: load.watch_load, nodes.upgrade_node, nodes.verify_nodes" in why


def test_a_run_that_failed_at_once_admits_what_it_does_not_know() -> None:
    text = Page(example.page(example.failed_at_once())).text
    assert "No step recorded why. Read the log of the first task of this run that is red." in text
    assert "Not enough data for a chart: the run recorded no time span." in text
    assert text.count("not enough data") == 4
    assert "Schema versions Never read." in text


def test_a_restore_says_what_it_lost_and_for_how_long_nobody_was_served() -> None:
    text = Page(example.page(example.restored())).text
    assert "Keystone restore · cloud lab" in text
    assert "13.0.4 (Queens) → 12.0.3 (Pike)" in text
    assert "2,481 writes since the backup: 2,422 new rows lost, 24 deleted rows back" in text
    assert "Lost, by table Table New rows lost Deleted rows back Rows changed back password" in text
    assert "nonlocal_user" not in text
    assert "whitelisted_config row counts only" in text
    assert "DROP DATABASE keystone_rollout_replaced_20260301T100004" in text
    assert "after restore 24 24 24 in the backup 24 24 24" in text
    for word in ("Acknowledged writes", "Kept and restored", "Failures", "not enough data"):
        assert word not in text


def test_a_refused_restore_says_what_would_be_lost_and_that_nothing_moved() -> None:
    text = Page(example.page(example.restore_refused())).text
    assert "It stopped before anything was touched." in text
    assert "Would be lost 2,479 writes since the backup" in text
    assert "Downtime no server was taken out" in text
    assert "Tables that served before not moved" in text
    assert "DROP DATABASE" not in text


def test_no_state_is_told_by_colour_alone() -> None:
    page = Page(example.page(example.failed()))
    marks = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert {"failed", "succeeded", "unknown"} <= set(marks)
    assert "violated" in page.text
    assert "kept" in page.text


def test_what_others_wrote_is_text_and_never_markup() -> None:
    record = example.failed()
    evil = "<script>alert(1)</script>\"'&"
    example.violated(record)["measured"] = evil
    record["steps"][-1]["name"] = evil
    record["plan"] = {**record["plan"], "cloud": evil}
    record["nodes"][evil] = record["nodes"].pop("keystone-2")
    text = example.page(record)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_both_files_are_written_in_one_step(tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    record = example.succeeded()
    path = write_report(directory, read_record(record))
    assert path == directory.path / "report.html"
    assert path.read_text(encoding="utf-8") == example.page(record)
    assert json.loads((directory.path / "report.json").read_text())["run_id"] == record["run_id"]
    assert sorted(each.name for each in directory.path.iterdir()) == ["report.html", "report.json"]


def test_a_record_that_went_through_json_gives_the_same_page() -> None:
    record = example.failed()
    assert example.page(json.loads(json.dumps(record))) == example.page(record)


def test_the_style_is_inlined_as_it_is() -> None:
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    assert f"<style>{style}</style>" in example.page(example.succeeded())


def test_a_damaged_load_is_missing_in_the_report_and_does_not_prevent_it(tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    directory.record(Noted(text="a run"))
    (directory.load / "1").mkdir(parents=True)
    (directory.load / "1" / "samples.jsonl").write_text('{"t": 1, "req{"t": 2}\n')
    page = write_run_report(directory, "failed", []).read_text()
    assert "the load of session 1 is missing in this report: " in page
