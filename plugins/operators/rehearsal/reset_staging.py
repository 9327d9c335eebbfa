"""Reset a staging cloud to the source release, and load a dump of production into it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.cloud.rehearsal import Rehearsal, judge_reset, judge_staging
from keystone_rollout.domain.run.events import DagNamed
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.processes.command import CommandFailed
from keystone_rollout.procedures.rehearsal.production_dump import ProductionDump
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.resume import hold_lock
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rehearsal.operator import RehearsalOperator

log = logging.getLogger(__name__)


def declared(run: RolloutRun) -> Rehearsal:
    """Return the section rehearsal of a staging cloud; AirflowFailException for any other cloud.

    Each step asks for itself: a task may be cleared on its own, with another file than before.
    """
    cloud = run.cloud
    verdict = judge_staging(cloud.name, cloud.staging, cloud.rehearsal is not None)
    if not verdict.ok or cloud.rehearsal is None:
        require(run, "staging", [verdict])
        raise AirflowFailException(str(verdict))
    return cloud.rehearsal


class CheckStagingOperator(RehearsalOperator):
    """The check that the cloud is marked as staging, and that the dump is whole."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Change nothing; AirflowFailException names what is missing."""
        rehearsal = declared(run)
        run.directory.record(DagNamed(dag="keystone_rehearsal"))
        name = dump_name(rehearsal, context)
        dump = [ProductionDump(run, name).judge()] if name else []
        require(run, "staging", [judge_staging(run.cloud.name, run.cloud.staging, True), *dump])


def dump_name(rehearsal: Rehearsal, context: Any) -> str:
    """Return the dump to upgrade; empty for the data that the reset leaves."""
    return str(context["params"].get("dump") or rehearsal.dump or "").strip()


class ResetStagingOperator(RehearsalOperator):
    """The cloud's reset command; the nodes, not its exit status, say whether it worked."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Reset; AirflowFailException if the command fails or a node has another release."""
        rehearsal = declared(run)
        with locked(run, "before the reset"):
            try:
                run.programs.run(rehearsal.reset, rehearsal.reset_seconds)
            except CommandFailed as error:
                raise AirflowFailException(
                    f"{run.cloud.name} was not reset: {error}. No upgrade is started. Next: run "
                    "the command by hand in the project's folder, repair what it says, then clear "
                    "this task"
                ) from error
            require(run, "reset", at_source(run))


@contextmanager
def locked(run: RolloutRun, gate: str) -> Iterator[None]:
    """Take the cloud's lock for a block, and keep it for the next step unless the block fails.

    It is taken again, because a reset that makes the database anew drops the lock, and a cleared
    task finds it released. It is released on failure, because clearing runs no teardown.
    """
    hold_lock(run, gate)
    try:
        yield
    except BaseException:
        try:
            run.lock.release()
        except Exception:
            log.exception("Could not release the lock")
        raise


def at_source(run: RolloutRun) -> list[Verdict]:
    """Judge for each node whether it runs the source release."""
    source = run.cloud.source
    return [
        judge_reset(
            node,
            str(report),
            report.serves(source),
            source,
        )
        for node, report in run.nodes.reports().items()
    ]


class LoadDumpOperator(RehearsalOperator):
    """A dump of production that replaces the data that the reset left, if one is named."""

    def run_step(self, run: RolloutRun, context: Any) -> str:
        """Return the dump's path, or an empty text if none is named.

        AirflowFailException if it is not of the source release: staging then holds the data that
        the reset left.
        """
        rehearsal = declared(run)
        name = dump_name(rehearsal, context)
        if not name:
            self.log.info("No dump is named: the upgrade gets the data that the reset left")
            return ""
        with locked(run, "before the dump"):
            dump = ProductionDump(run, name)
            require(run, "before the dump", [dump.judge(), *at_source(run)])
            dump.load(lambda verdicts: require(run, "release of the dump", verdicts))
            self._adopt(run, rehearsal)
        return str(dump.path)

    def _adopt(self, run: RolloutRun, rehearsal: Rehearsal) -> None:
        if not rehearsal.after_dump:
            return
        try:
            run.programs.run(rehearsal.after_dump, rehearsal.reset_seconds)
        except CommandFailed as error:
            raise AirflowFailException(
                f"the dump is in place, but {run.cloud.name} has not adopted it: {error}. No "
                "upgrade is started. Next: repair it, then start a new rehearsal"
            ) from error
