"""Put a staging cloud back to the source release, and a dump of production into it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.cloud.rehearsal import Rehearsal, judge_reset, judge_staging
from keystone_rollout.domain.run.events import DagNamed
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.node.all_nodes import AllNodes
from keystone_rollout.hooks.processes.command import CommandFailed, run_outside
from keystone_rollout.procedures.rehearsal.production_dump import ProductionDump
from keystone_rollout.procedures.run.gate import settle
from keystone_rollout.procedures.run.resume import hold_lock
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rehearsal.operator import RehearsalOperator

log = logging.getLogger(__name__)


def declared(run: RolloutRun) -> Rehearsal:
    """Return how a staging cloud rehearses; AirflowFailException for every other cloud.

    Asked by each step itself: a task may be cleared on its own, with another file than before.
    """
    cloud = run.cloud
    verdict = judge_staging(cloud.name, cloud.staging, cloud.rehearsal is not None)
    if not verdict.ok or cloud.rehearsal is None:
        settle(run, "staging", [verdict])
        raise AirflowFailException(str(verdict))
    return cloud.rehearsal


class ResettingOperator(RehearsalOperator):
    """Look at the nodes of the cloud that is reset."""

    def nodes(self, run: RolloutRun) -> AllNodes:
        """Return the nodes, reached over SSH."""
        return AllNodes(run.cloud)


class CheckStagingOperator(RehearsalOperator):
    """Refuse every cloud that is not marked as staging, and a dump that is not whole."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Change nothing; AirflowFailException names what is missing."""
        rehearsal = declared(run)
        run.directory.record(DagNamed(dag="keystone_rehearsal"))
        name = dump_name(rehearsal, context)
        dump = [ProductionDump(run.cloud, name).judge()] if name else []
        settle(run, "staging", [judge_staging(run.cloud.name, run.cloud.staging, True), *dump])


def dump_name(rehearsal: Rehearsal, context: Any) -> str:
    """Return the dump that is to be upgraded; empty for the data that the reset leaves."""
    return str(context["params"].get("dump") or rehearsal.dump or "").strip()


class ResetStagingOperator(ResettingOperator):
    """Run the cloud's reset command, and believe the nodes rather than its exit status."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Reset; AirflowFailException where the command fails or a node is not at the source."""
        rehearsal = declared(run)
        with locked(run, "before the reset"):
            try:
                run_outside(rehearsal.reset, rehearsal.reset_seconds, run.lock.keep_alive)
            except CommandFailed as error:
                raise AirflowFailException(
                    f"{run.cloud.name} was not reset: {error}. No upgrade is started. Next: run "
                    "the command by hand in the project's folder, repair what it says, then clear "
                    "this task"
                ) from error
            settle(run, "reset", at_source(run, self.nodes(run)))


@contextmanager
def locked(run: RolloutRun, gate: str) -> Iterator[None]:
    """Have the cloud's lock for a block, and keep it for the next step unless the block fails.

    Taken anew, because a reset that makes the database anew takes the lock away with it, and a
    cleared task finds it released; given back on failure, because clearing runs no teardown.
    """
    hold_lock(run, gate)
    try:
        yield
    except BaseException:
        try:
            run.lock.release()
        except Exception:
            log.exception("Could not give the lock back")
        raise


def at_source(run: RolloutRun, nodes: AllNodes) -> list[Verdict]:
    """Return for each node whether it runs the source release."""
    source = run.cloud.source
    return [
        judge_reset(
            node,
            str(report),
            report.serves(source),
            source,
        )
        for node, report in nodes.reports().items()
    ]


class LoadDumpOperator(ResettingOperator):
    """Put a dump of production into the place of the data that the reset left, if one is named."""

    def run_step(self, run: RolloutRun, context: Any) -> str:
        """Return the dump's path, or an empty text where none is named.

        AirflowFailException where it does not stand where the source release does: staging then
        holds the data that the reset left.
        """
        rehearsal = declared(run)
        name = dump_name(rehearsal, context)
        if not name:
            self.log.info("No dump is named: the upgrade gets the data that the reset left")
            return ""
        with locked(run, "before the dump"):
            dump = ProductionDump(run.cloud, name)
            settle(run, "before the dump", [dump.judge(), *at_source(run, self.nodes(run))])
            dump.load(lambda verdicts: settle(run, "release of the dump", verdicts))
            self._adopt(run, rehearsal)
        return str(dump.path)

    def _adopt(self, run: RolloutRun, rehearsal: Rehearsal) -> None:
        if not rehearsal.after_dump:
            return
        try:
            run_outside(rehearsal.after_dump, rehearsal.reset_seconds, run.lock.keep_alive)
        except CommandFailed as error:
            raise AirflowFailException(
                f"the dump is in place, but {run.cloud.name} has not adopted it: {error}. No "
                "upgrade is started. Next: repair it, then start a new rehearsal"
            ) from error
