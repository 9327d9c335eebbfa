"""Say what is not known of a run that left nothing on this machine, and what to do about it.

What an upgrade needs to go on is in the cloud itself: versions, nodes, lock, marks, variables. The
rest was in the folders of the machine that ran it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.domain.run.systems import HeldVariable
from keystone_rollout.hooks.files.run_identity import folder_name
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


def unknown_of(run: RolloutRun, lost: LockHolder) -> list[str]:
    """Return a sentence for each thing that is known from the cloud, and for each that is gone.

    Nothing that cannot be read raises an error: it is not known either.
    """
    questions: dict[str, Callable[[RolloutRun, LockHolder], str]] = {
        "its migration": _migration,
        "its variables": _variables,
        "its servers": _servers,
        "its backup": _backup,
        "its load": _load,
        "its writes": _writes,
    }
    return list(_answers(run, lost, questions))


def _answers(
    run: RolloutRun,
    lost: LockHolder,
    questions: dict[str, Callable[[RolloutRun, LockHolder], str]],
) -> Iterator[str]:
    for what, question in questions.items():
        try:
            yield question(run, lost)
        except Exception as error:
            log.exception("Nothing is known of %s", what)
            yield f"{what}: not known, because it cannot be read ({error})"


def _migration(run: RolloutRun, lost: LockHolder) -> str:
    return (
        f"not known: whether a migration of it is still at work at {lost.place}, where its "
        f"container {run.engine.container.name} cannot be seen from here. How far the schema is, "
        "the version table says. Next: make sure that this machine is off, or that no such "
        "container runs there, before the phases of this run"
    )


def _variables(run: RolloutRun, lost: LockHolder) -> str:
    held = [run.variables.function_creators, run.variables.read_committed]
    return "; ".join(_variable(each) for each in held)


def _variable(variable: HeldVariable) -> str:
    before, now = variable.original(), variable.value()
    if before is None:
        return f"{variable.name}: no value is saved in the database, so {now} stays as it is"
    return (
        f"{variable.name}: known, it was {before} before (saved in the database) and is {now}; "
        "an upgrade's end resets it"
    )


def _servers(run: RolloutRun, lost: LockHolder) -> str:
    marks = sorted(run.marks.all())
    known = ", ".join(marks) or "none"
    return f"servers that it took out: known by their marks in the database: {known}"


def _backup(run: RolloutRun, lost: LockHolder) -> str:
    name, folder = folder_name(lost.run_id), run.backups.folder
    found = sorted(path.name for path in folder.glob(f"{name}*.sql"))
    if found:
        return f"its backup is here: {', '.join(found)} in {folder}"
    return (
        f"missing: its backup {name}.sql, if it made one, is not in {folder}. A new one is of "
        f"the schema as it is now. Next: copy it, with its .json, from {lost.place} or from where "
        "its copies are, before you approve contract"
    )


def _load(run: RolloutRun, lost: LockHolder) -> str:
    return (
        "gone: its baseline and its load samples. The next baseline is of the cloud as it is now, "
        "and requests that failed before do not count in a failure budget. Next: look at the "
        "cloud's own monitoring for that time"
    )


def _writes(run: RolloutRun, lost: LockHolder) -> str:
    prefix = run.cloud.load.profile.for_run(f"{lost.token}/1").name_prefix
    return (
        "gone: its ledger of acknowledged writes, so whether one was lost is not known. Users, "
        f"projects and roles of its first load, named {prefix}-…, may be left. Next: delete them "
        "by hand; they do no harm"
    )
