"""End runs safely that have no teardown any more: a resumed run, and a killed one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from keystone_rollout.domain.run.events import (
    Judged,
    LoadStopped,
    LockChanged,
    LockState,
    Planned,
    RecordUnreadable,
    Reported,
    Resumed,
)
from keystone_rollout.domain.run.systems import LoadGenerator, Record
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.files.run_directory import rehearsals_folder, runs_folder
from keystone_rollout.procedures.load.writes import check_writes
from keystone_rollout.procedures.node.left_out import return_nodes
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.outcome import end_with_report
from keystone_rollout.procedures.run.report import write_run_report
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.systems import outside
from keystone_rollout.procedures.run.teardown import Teardown
from keystone_rollout.procedures.run.witnesses import LoadWitness, run_witnesses

log = logging.getLogger(__name__)


def was_resumed(run: RolloutRun) -> bool:
    """Tell whether this run went on since its teardowns have ended.

    "Clear failed tasks" runs neither setup nor teardown again: a cleared task takes up again what
    it needs (procedures.run.resume), and whoever fails or finishes after that has to end it.
    """
    reported = run.directory.last(Reported)
    if reported is None:
        return False
    later = [*run.directory.events(Judged), *run.directory.events(Resumed)]
    return any(event.t > reported.t for event in later)


def end_safely(run: RolloutRun, state: str, failed_tasks: list[str]) -> None:
    """End every witness, check the writes, return nodes, release the lock, report.

    Every step is tried, even if others fail, and again within one limits.teardown_seconds;
    RuntimeError names all failed ones.
    """
    with run.directory.alone():
        problems = _end_each(run, state, failed_tasks)
    if problems:
        raise RuntimeError("the run did not end safely; " + "; ".join(problems))


def _end_each(run: RolloutRun, state: str, failed_tasks: list[str]) -> list[str]:
    problems: list[str] = []
    ours = not _another_works(run)
    witnesses = run_witnesses(run) if ours else [LoadWitness(run)]
    ends = {f"end {each.name}": each.end for each in reversed(witnesses)}
    steps: dict[str, Callable[[], object]] = {
        **ends,
        "check the acknowledged writes": lambda: require(
            run, "acknowledged writes", check_writes(run)
        ),
        "return the nodes that are out": lambda: return_nodes(run) if ours else None,
        "release the lock": lambda: release_lock(run),
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
    return problems


def _another_works(run: RolloutRun) -> bool:
    """Tell whether another run has the lock: its variables and servers are not ours to touch."""
    try:
        holder = run.lock.holder()
    except Exception:
        log.exception("Could not read the lock; what this run began is ended all the same")
        return False
    another = holder is not None and not holder.is_run(run.directory.identity())
    if another:
        log.warning("The lock is %s: this run ends its load and nothing else", holder)
    return another


def release_lock(run: RolloutRun) -> bool:
    """Release the lock and record it; return whether it was this run's."""
    was_ours = run.lock.release()
    if was_ours:
        run.directory.record(LockChanged(state=LockState.RELEASED))
    return was_ours


def remove_leftovers(run: RolloutRun) -> list[Path]:
    """Remove the unfinished files of killed runs, never a living one's; return what was removed."""
    runs = [path for path in runs_folder().glob("*") if path.is_dir()]
    sessions = [path for each in runs for path in each.glob("load/*")]
    histories = rehearsals_folder().glob("*")
    backups = project_path(run.cloud.backup_directory)
    return run.disk.remove_unfinished([backups, *runs, *sessions, *histories])


def stop_forgotten_loads(run: RolloutRun) -> list[str]:
    """Stop the loads that ended runs have left at work on this cloud; return that in words.

    A run whose load could not be stopped has released its lock all the same. This run has it now,
    so nobody watches such a load, and its requests would be in every measurement of this run.
    """
    done = []
    for owner in outside().identities():
        if owner.token != run.directory.identity().token:
            forgotten = InterruptedRun(run, owner.run_id, owner.token)
            if forgotten.loads(run.cloud.name):
                done += [f"run {owner.run_id}: {text}" for text in forgotten.stop_load()]
    return done


class InterruptedRun:
    """A run that nobody ends any more, as far as it left anything on this machine."""

    def __init__(self, run: RolloutRun, run_id: str, token: str = "") -> None:
        self.run = run
        self.run_id = run_id
        self.directory = outside().existing(run_id, token)

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
        return [*self.stop_load(), self._report(self.directory)]

    def loads(self, cloud: str) -> bool:
        """Tell whether its load is at work, and on this cloud."""
        if self.directory is None or self._at_work() is None:
            return False
        try:
            plan = self.directory.last(Planned)
        except (RecordUnreadable, OSError):
            return False
        return plan is not None and plan.cloud == cloud

    def stop_load(self) -> list[str]:
        """Stop its load, also one that hangs; return that in words, nothing if none runs here."""
        load = self._at_work()
        if self.directory is None or load is None:
            return []
        ended = load.stop()
        self.directory.record(LoadStopped(session=int(load.directory.name), how=ended.how))
        return [f"its load was {ended.how}"]

    def _at_work(self) -> LoadGenerator | None:
        load = self.load()
        return load if load is not None and load.process() is not None else None

    def _report(self, directory: Record) -> str:
        """Write its report if its record can be read, and the disk takes it."""
        try:
            return f"its report was written: {write_run_report(directory, 'interrupted', [])}"
        except (RecordUnreadable, OSError) as error:
            return f"its report was not written: {error}"
