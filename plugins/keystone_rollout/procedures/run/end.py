"""End runs safely that have no teardown any more: a resumed run, and a killed one."""

from __future__ import annotations

import logging
from collections.abc import Callable

from keystone_rollout.domain.run.events import (
    Judged,
    LoadStopped,
    RecordUnreadable,
    Reported,
)
from keystone_rollout.domain.run.systems import LoadGenerator, Record
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.load.writes import check_writes
from keystone_rollout.procedures.node.left_out import return_nodes
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.outcome import end_with_report
from keystone_rollout.procedures.run.report import write_run_report
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.systems import outside
from keystone_rollout.procedures.run.teardown import Teardown


def was_resumed(run: RolloutRun) -> bool:
    """Tell whether a gate was opened since this run's teardowns have ended.

    "Clear failed tasks" runs neither setup nor teardown again. Gates take the lock and start the
    load again, so the task that fails or finishes later has to end them.
    """
    reported, judged = run.directory.last(Reported), run.directory.last(Judged)
    return reported is not None and judged is not None and judged.t > reported.t


def end_safely(run: RolloutRun, state: str, failed_tasks: list[str]) -> None:
    """Stop the load, check its writes, reset variables, return nodes, release the lock, report.

    Every step is tried, even if others fail, and again within one limits.teardown_seconds;
    RuntimeError names all failed ones.
    """
    problems: list[str] = []
    steps: dict[str, Callable[[], object]] = {
        "stop the load": lambda: LoadSession(run).stop(),
        "check the acknowledged writes": lambda: require(
            run, "acknowledged writes", check_writes(run)
        ),
        "reset log_bin_trust_function_creators": lambda: run.variables.function_creators.reset(),
        "reset the transaction isolation": lambda: run.variables.read_committed.reset(),
        "return the nodes that are out": lambda: return_nodes(run),
        "release the lock": lambda: run.lock.release(),
        "write the report": lambda: end_with_report(
            run.cloud, run.directory, "failed" if problems else state, failed_tasks, problems
        ),
    }
    teardown = Teardown(run)
    for what, step in steps.items():
        try:
            teardown.do(what, step)
        except Exception as error:
            problems.append(f"{what}: {error}")
            log.exception("Could not %s", what)
    if problems:
        raise RuntimeError("the run did not end safely; " + "; ".join(problems))


log = logging.getLogger(__name__)


class InterruptedRun:
    """A run whose lock was broken, as far as it left anything on this machine."""

    def __init__(self, run: RolloutRun, run_id: str) -> None:
        self.run = run
        self.run_id = run_id
        self.directory = outside().existing(run_id)

    def load(self) -> LoadGenerator | None:
        """Return the run's newest load session, or None if it is not on this machine."""
        if self.directory is None:
            return None
        folders = sorted(self.directory.load.glob("*"), key=lambda path: int(path.name))
        return self.run.load.session(folders[-1]) if folders else None

    def clean_up(self) -> list[str]:
        """Stop its load and write its report; return the finished steps, in words."""
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

    def _report(self, directory: Record) -> str:
        """Write its report if this version can read its record."""
        try:
            return f"its report was written: {write_run_report(directory, 'interrupted', [])}"
        except RecordUnreadable as error:
            return f"its report was not written: {error}"
