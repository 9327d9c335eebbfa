"""Keep a cloud's rehearsals outside the runs' folders: history.json, history.html, their reports.

Rows are taken from each run's report.json once, and stay when the run's folder is deleted.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from keystone_rollout.domain.run.estimate import UPGRADE
from keystone_rollout.domain.run.record import read_record
from keystone_rollout.hooks.files.run_directory import (
    rehearsals_folder,
    runs_folder,
)
from keystone_rollout.hooks.files.run_identity import folder_name, run_folder
from keystone_rollout.hooks.files.run_pages import OF_A_HISTORY, OF_A_REHEARSAL
from keystone_rollout.procedures.run.report import render_page
from keystone_rollout.procedures.run.systems import outside
from keystone_rollout.views.history.row import NO_DATA, Row, is_row, row_of, row_without_data
from keystone_rollout.views.history.view import build_history_view

PAGE, DATA = OF_A_HISTORY
REPORT, RECORD = OF_A_REHEARSAL


class HistoryUnreadable(RuntimeError):
    """A history that cannot be read, and was not changed."""


def history_folder(cloud: str) -> Path:
    """Return the folder of a cloud's history; hooks.files.run_pages shows what is in it."""
    return rehearsals_folder() / folder_name(cloud)


class RehearsalHistory:
    """The rehearsals of a cloud, newest first.

    :param bound: how many it keeps; older ones are dropped, with the copies of their reports
    """

    def __init__(self, cloud: str, bound: int, folder: Path | None = None) -> None:
        self.cloud = cloud
        self.bound = bound
        self.folder = folder or history_folder(cloud)
        self.clock = outside().clock

    def rows(self) -> list[Row]:
        """Return the kept rows; HistoryUnreadable if the file is damaged."""
        path = self.folder / DATA
        if not path.exists():
            return []
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["rehearsals"]
            broken = [row for row in rows if not is_row(row)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._unreadable(path, f"{type(error).__name__}: {error}") from error
        if broken:
            raise self._unreadable(path, f"{len(broken)} of {len(rows)} rows are none")
        return list(rows)

    def keep(self, rehearsal: str, upgrade: str, why_none: str) -> Row:
        """Copy the report of a rehearsal's upgrade, add its row, write both files; return the row.

        A rehearsal that is kept again replaces its row, unless its report is gone by now. There is
        a row even without a report.

        :param upgrade: run id of the upgrade, or empty if none was started
        :param why_none: says why, in that case
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        earlier = self.rows()
        row = self._row(rehearsal, upgrade, why_none)
        if row["state"] == NO_DATA:
            same = [each for each in earlier
                    if (each["rehearsal"], each["upgrade"]) == (rehearsal, upgrade)]  # fmt: skip
            row = same[0] if same else row
        rows = [row, *(each for each in earlier if each["rehearsal"] != rehearsal)]
        rows.sort(key=lambda each: each["began"] or 0.0, reverse=True)
        self._write(rows[: self.bound])
        self._drop_copies(rows[: self.bound])
        return row

    def _row(self, rehearsal: str, upgrade: str, why_none: str) -> Row:
        if not upgrade:
            return row_without_data(rehearsal, self.clock.now(), why_none)
        source = run_folder(runs_folder(), upgrade, UPGRADE)
        try:
            data = json.loads((source / RECORD).read_text(encoding="utf-8"))
            row = row_of(rehearsal, read_record(data))
        except OSError as error:
            problem = f"no report: {source.name}/{RECORD} cannot be read ({error.strerror})"
            return row_without_data(rehearsal, self.clock.now(), problem, upgrade)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"broken report: {source.name}/{RECORD}: {type(error).__name__}: {error}"
            return row_without_data(rehearsal, self.clock.now(), problem, upgrade)
        row["report"] = self._copy(rehearsal, source)
        return row

    def _copy(self, rehearsal: str, source: Path) -> str:
        """Copy a run's page and data; return the page's path from here, empty without a page."""
        name = folder_name(rehearsal)
        target = self.folder / name
        target.mkdir(exist_ok=True, mode=0o700)
        shutil.copyfile(source / RECORD, target / RECORD)
        if not (source / REPORT).exists():
            return ""
        shutil.copyfile(source / REPORT, target / REPORT)
        return f"{name}/{REPORT}"

    def _write(self, rows: list[Row]) -> None:
        directory = outside().record(self.folder.name, self.folder.parent)
        directory.write_json(DATA, {"cloud": self.cloud, "rehearsals": rows})
        view = build_history_view(self.cloud, rows, self.bound)
        directory.write_text(PAGE, render_page("history.html.j2", view))

    def _drop_copies(self, rows: list[Row]) -> None:
        """Delete the copied reports of dropped rows."""
        kept = {folder_name(row["rehearsal"]) for row in rows}
        for path in self.folder.iterdir():
            copied = path.is_dir() and (path / RECORD).exists()
            if copied and path.name not in kept:
                shutil.rmtree(path)

    def _unreadable(self, path: Path, why: str) -> HistoryUnreadable:
        return HistoryUnreadable(
            f"{path} cannot be read ({why}). The rehearsals of before would be lost with it, so "
            "it was not touched; the run's own report is in its folder. Next: repair it or move it "
            "away, then clear this task"
        )
