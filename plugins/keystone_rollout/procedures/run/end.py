"""End a resumed run safely: what its tasks started again has no teardown any more."""

from __future__ import annotations

import logging
from collections.abc import Callable

from keystone_rollout.hooks.database.function_creators import FunctionCreators
from keystone_rollout.hooks.database.read_committed import ReadCommitted
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.load.writes_check import check_writes
from keystone_rollout.procedures.node.left_out import bring_back
from keystone_rollout.procedures.run.gate import settle
from keystone_rollout.procedures.run.outcome import end_with_report
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


def was_resumed(run: RolloutRun) -> bool:
    """Tell whether a gate was opened since this run's teardowns have ended.

    "Clear failed tasks" runs neither setup nor teardown again: gates take and start what they
    need, and whoever fails or finishes after that has to end it.
    """
    reported, gate = run.directory.last("reported"), run.directory.last("gate")
    return reported is not None and gate is not None and gate["t"] > reported["t"]


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
