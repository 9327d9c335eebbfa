"""The history keeps a row of every rehearsal, whatever became of its report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from keystone_rollout.domain.run.record import read_record
from keystone_rollout.procedures.rehearsal.history import (
    HistoryUnreadable,
    RehearsalHistory,
    history_folder,
)
from keystone_rollout.views.history.row import row_of
from tests.stand_ins import record_example
from tests.stand_ins import rehearsal_example as example


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def history(runs: Path) -> RehearsalHistory:
    return RehearsalHistory("lab", 100)


def kept(history: RehearsalHistory) -> list[str]:
    return [row["rehearsal"] for row in history.rows()]


def test_it_is_kept_beside_the_runs_and_not_among_them(runs: Path) -> None:
    assert history_folder("lab") == runs.parent / "rehearsals" / "lab"
    assert history_folder("../../etc") == runs.parent / "rehearsals" / ".._.._etc"


def test_a_row_says_what_the_report_says(runs: Path, history: RehearsalHistory) -> None:
    record = example.nightly(0)
    upgrade = example.write_run(runs, record, "<html>the report</html>")
    row = history.keep("night", upgrade, "")
    assert (row["state"], row["source"], row["target"]) == ("succeeded", "12.0.3", "13.0.4")
    assert row["requests"] == record["load"]["requests"] > 0
    assert row["failures"] == 0
    assert row["seconds"] == record["ended"] - record["began"]
    assert list(row["phases"]) == ["backup", "expand", "migrate", "nodes", "contract"]
    steps = {s["name"]: s["ended"] - s["began"] for s in record["steps"]}
    nodes = sum(steps[name] for name in record_example.NODES)
    assert row["phases"]["nodes"] == pytest.approx(nodes, abs=0.1)
    assert row["phases"]["expand"] == pytest.approx(steps["expand"], abs=0.1)
    assert (history.folder / row["report"]).read_text() == "<html>the report</html>"
    assert json.loads((history.folder / "history.json").read_text())["rehearsals"] == [row]


def test_a_red_run_says_why(runs: Path, history: RehearsalHistory) -> None:
    row = history.keep("night", example.write_run(runs, example.nightly(example.RED)), "")
    assert row["state"] == "failed"
    assert row["reason"].startswith("load failures (locust): measured 13 failed of")
    assert "contract" not in row["phases"]
    assert (history.folder / row["report"]).exists()


def test_a_run_without_load_is_not_proven(runs: Path, history: RehearsalHistory) -> None:
    record = {**record_example.without_load(), "run_id": "silent"}
    row = history.keep("night", example.write_run(runs, record), "")
    assert (row["state"], row["requests"], row["p99"]) == ("unproven", None, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no report: upgrade/report.json cannot be read (No such file or directory)"),
        ("", "broken report: upgrade/report.json: JSONDecodeError"),
        ("[]", "broken report: upgrade/report.json: RecordUnreadable: "),
        ("{}", "broken report: upgrade/report.json: RecordUnreadable: "),
        ('{"load": null, "plan": null}', "broken report: upgrade/report.json: "),
    ],
)
def test_a_report_that_cannot_be_read_is_a_row_that_says_so(
    runs: Path, history: RehearsalHistory, content: str | None, problem: str
) -> None:
    (runs / "upgrade").mkdir(parents=True)
    if content is not None:
        (runs / "upgrade" / "report.json").write_text(content)
    row = history.keep("night", "upgrade", "")
    assert row["state"] == "unknown"
    assert row["problem"].startswith(problem)
    assert kept(history) == ["night"]
    assert row["problem"].split(":")[0] in (history.folder / "history.html").read_text()


def test_a_state_that_nobody_knows_is_a_broken_report() -> None:
    with pytest.raises(ValueError, match="read state 'fine', allowed are succeeded, failed"):
        row_of("night", read_record({**example.nightly(0), "state": "fine"}))


def test_a_rehearsal_that_never_began_is_a_row(runs: Path, history: RehearsalHistory) -> None:
    row = history.keep("night", "", "no upgrade was started; red: reset_staging")
    assert (row["state"], row["problem"]) == (
        "unknown",
        "no upgrade was started; red: reset_staging",
    )
    assert row["began"] > 1.7e9


def test_the_newest_comes_first_and_a_repeated_one_replaces_its_row(
    runs: Path, history: RehearsalHistory
) -> None:
    example.keep_nights(runs, history, 3)
    assert kept(history) == ["night_02", "night_01", "night_00"]
    history.keep("night_00", "upgrade_00", "")
    assert kept(history) == ["night_02", "night_01", "night_00"], "by when they were"
    history.keep("night_01", "gone", "")
    rows = history.rows()
    assert sorted(row["rehearsal"] for row in rows) == ["night_00", "night_01", "night_02"]
    assert {row["rehearsal"]: row["state"] for row in rows}["night_01"] == "unknown"


def test_deleting_the_runs_loses_no_row_and_no_report(
    runs: Path, history: RehearsalHistory
) -> None:
    example.keep_nights(runs, history, 3)
    before = history.rows()
    shutil.rmtree(runs)
    history.keep("tonight", "", "no upgrade was started")
    history.keep("night_01", "upgrade_01", "a task that was cleared")
    assert [row for row in history.rows() if row["rehearsal"] != "tonight"] == before
    assert all((history.folder / row["report"]).exists() for row in before)


def test_it_is_bounded_with_the_copies_of_reports(runs: Path) -> None:
    history = RehearsalHistory("lab", 2)
    history.folder.mkdir(parents=True)
    (history.folder / "somebodys").mkdir()
    example.keep_nights(runs, history, 4)
    assert kept(history) == ["night_03", "night_02"]
    folders = {path.name for path in history.folder.iterdir() if path.is_dir()}
    assert folders == {"night_02", "night_03", "somebodys"}
    assert len(list(runs.iterdir())) == 4, "the runs themselves are not ours to delete"


@pytest.mark.parametrize("content", ["", "{}", '{"rehearsals": [{"rehearsal": "x"}]}', "[1]"])
def test_a_broken_history_is_not_written_over(
    runs: Path, history: RehearsalHistory, content: str
) -> None:
    history.folder.mkdir(parents=True)
    (history.folder / "history.json").write_text(content)
    with pytest.raises(HistoryUnreadable, match="it was not touched"):
        history.keep("night", "", "none")
    assert (history.folder / "history.json").read_text() == content


def test_each_cloud_has_its_own(runs: Path, history: RehearsalHistory) -> None:
    RehearsalHistory("other", 5).keep("night", "", "none")
    assert history.rows() == []


def test_what_is_kept_is_for_the_owner_alone(runs: Path, history: RehearsalHistory) -> None:
    example.keep_nights(runs, history, 1)
    assert history.folder.stat().st_mode & 0o077 == 0


def test_rows_are_plain_data(runs: Path, history: RehearsalHistory) -> None:
    example.keep_nights(runs, history, 5)
    rows: list[dict[str, Any]] = history.rows()
    assert json.loads(json.dumps(rows)) == rows
