"""End safely what has no teardown any more: a resumed run, and one that was killed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.run.events import (
    Judged,
    LoadStopped,
    RecordUnreadable,
    Reported,
)
from keystone_rollout.hooks.database.variables import FunctionCreators, ReadCommitted
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.files.run_directory import RunDirectory, rehearsals_folder, runs_folder
from keystone_rollout.hooks.files.whole_file import remove_unfinished
from keystone_rollout.hooks.locust.generator import LoadGeneratorHook
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.load.writes import check_writes
from keystone_rollout.procedures.node.left_out import bring_back
from keystone_rollout.procedures.run.gate import settle
from keystone_rollout.procedures.run.outcome import end_with_report
from keystone_rollout.procedures.run.report import write_run_report
from keystone_rollout.procedures.run.run import RolloutRun


def was_resumed(run: RolloutRun) -> bool:
    """Tell whether a gate was opened since this run's teardowns have ended.

    "Clear failed tasks" runs neither setup nor teardown again: gates take and start what they
    need, and whoever fails or finishes after that has to end it.
    """
    reported, judged = run.directory.last(Reported), run.directory.last(Judged)
    return reported is not None and judged is not None and judged.t > reported.t


def end_safely(run: RolloutRun, state: str, failed_tasks: list[str]) -> None:
    """Stop the load, check its writes, restore variables and capacity, release the lock, report.

    Each is tried whatever became of the others; RuntimeError names all that did not succeed.
    """
    problems: list[str] = []
    steps: dict[str, Callable[[], object]] = {
        "stop the load": lambda: LoadSession(run).stop(),
        "check the acknowledged writes": lambda: settle(
            run, "acknowledged writes", check_writes(run)
        ),
        "restore log_bin_trust_function_creators": lambda: FunctionCreators(run.cloud).restore(),
        "restore the transaction isolation": lambda: ReadCommitted(run.cloud).restore(),
        "bring back the nodes that are out": lambda: bring_back(run),
        "release the lock": lambda: run.lock.release(),
        "write the report": lambda: end_with_report(
            run.cloud, run.directory, "failed" if problems else state, failed_tasks, problems
        ),
    }
    for what, step in steps.items():
        try:
            step()
        except Exception as error:
            problems.append(f"{what}: {error}")
            log.exception("Could not %s", what)
    if problems:
        raise RuntimeError("the run did not end safely; " + "; ".join(problems))


log = logging.getLogger(__name__)


def remove_leftovers(cloud: Cloud) -> list[Path]:
    """Remove the unfinished files of killed runs, never a living one's; return what was removed."""
    runs = [path for path in runs_folder().glob("*") if path.is_dir()]
    sessions = [path for run in runs for path in run.glob("load/*")]
    histories = rehearsals_folder().glob("*")
    folders = [project_path(cloud.backup_directory), *runs, *sessions, *histories]
    return remove_unfinished(folders)


class InterruptedRun:
    """Handle what is left of a run whose lock was broken, if it ran on this machine."""

    def __init__(self, run_id: str, token: str = "") -> None:
        self.run_id = run_id
        self.directory = RunDirectory.existing(run_id, token)

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
            self.directory.record(LoadStopped(session=int(load.directory.name), how=ended.how))
            done.append(f"its load was {ended.how}")
        done.append(self._report(self.directory))
        return done

    def _report(self, directory: RunDirectory) -> str:
        """Write its report if its record can be read, and the disk takes it."""
        try:
            return f"its report was written: {write_run_report(directory, 'interrupted', [])}"
        except (RecordUnreadable, OSError) as error:
            return f"its report was not written: {error}"
