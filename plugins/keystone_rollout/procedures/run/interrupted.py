"""Clean up after a run that was killed: nobody else will."""

from __future__ import annotations

import logging

from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.hooks.locust.generator import LoadGeneratorHook
from keystone_rollout.procedures.run.report import write_run_report

log = logging.getLogger(__name__)


class InterruptedRun:
    """Handle what is left of a run whose lock was broken, if it ran on this machine."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.directory = RunDirectory.existing(run_id)

    def load(self) -> LoadGeneratorHook | None:
        """Return the run's newest load session, or None where it is not on this machine."""
        if self.directory is None:
            return None
        folders = sorted(self.directory.load.glob("*"), key=lambda path: int(path.name))
        return LoadGeneratorHook(folders[-1]) if folders else None

    def clean_up(self) -> list[str]:
        """Stop its load and write its report; return what was done, in words."""
        if self.directory is None:
            return [f"run {self.run_id} left no record on this machine; its load, if any, may "
                    "still run where it was started, until its run_time is over"]  # fmt: skip
        done = []
        load = self.load()
        if load is not None and load.is_alive():
            ended = load.stop()
            self.directory.record("load_stopped", session=int(load.directory.name), how=ended.how)
            done.append(f"its load was {ended.how}")
        path = write_run_report(self.directory, "interrupted", [])
        done.append(f"its report was written: {path}")
        return done
