"""Take the database through one phase of the upgrade, watched and one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.run.events import BackupTaken, Judged, VersionsRead
from keystone_rollout.domain.run.systems import Schema
from keystone_rollout.domain.schema.failure import (
    PhaseOutcome,
    describe_failure,
    describe_unknown_end,
)
from keystone_rollout.domain.schema.forecast import forecast
from keystone_rollout.domain.schema.lock_waits import LockWaits
from keystone_rollout.domain.schema.state import MigrationState, blocked_by
from keystone_rollout.domain.schema.target import PhaseTarget, live_target
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.hooks.database.lock_watch import LockWatchError
from keystone_rollout.hooks.files.keystone_configuration import PhaseConfigurationError
from keystone_rollout.procedures.node.verdicts import before_contract, verify_nodes
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.resume import proceed
from keystone_rollout.procedures.run.run import RolloutRun
from operators.keystone_manage import KeystoneManageOperator, OutcomeUnknown


class PhaseOperator(KeystoneManageOperator):
    """One phase of the database: expand, migrate or contract.

    Compares the version table with the image's migrations before and after: a phase that is done,
    or does nothing in this release, is not run; nor is one whose predecessor is not done.

    :param phase: expand, migrate or contract
    :param target: says of a cloud which schema is changed; the live one by default
    """

    interruptible = False

    def __init__(
        self, *, phase: str, target: Callable[[Cloud], PhaseTarget] = live_target, **kwargs: Any
    ) -> None:
        super().__init__(arguments=["db_sync", f"--{phase}"], **kwargs)
        self.phase = Phase(phase)
        self.target = target

    def execute(self, context: Any) -> None:
        """Run the phase; AirflowFailException says what was measured against which limit."""
        run = RolloutRun.from_context(context)
        self.wait_for_earlier(run)
        proceed(run, f"before {self.phase.value}")
        database = run.schema_of(self.target(run.cloud))
        before = run.state(database.versions())
        blocked = blocked_by(self.phase, before)
        if blocked:
            raise AirflowFailException(f"{self.phase.value} was not started: {blocked}")
        expected = forecast(self.phase, before)
        self.log.info("%s (the schema stands at %s)", expected, before)
        if expected.runs:
            if self.phase is Phase.CONTRACT and self._is_live(run):
                refuse_anything_old(run)
            with run.step(self.phase.value):
                self.run_phase(run, context)
        self._record_versions(run, database, expected.sentence)

    def run_phase(self, run: RolloutRun, context: Any) -> None:
        """Run it, watched; AirflowFailException unless it reached its head and nobody queued."""
        phase, database = self.phase, run.schema_of(self.target(run.cloud))
        before = run.state(database.versions())
        try:
            status, lines, waits = self._watched(run, context)
        except OutcomeUnknown as error:
            raise self._end_unknown(run, database, before, error) from error
        try:
            after = run.state(database.versions())
        except Exception as error:
            raise AirflowFailException(
                f"{phase.value} ended with exit status {status}, and whether it is done is not "
                f"known: the schema versions cannot be read ({error}). Next: bring the database "
                "back, then start the upgrade again: it reads them first"
            ) from error
        self.log.info("The schema now stands at %s (heads %s)", after, after.image)
        outcome, verdict = PhaseOutcome(phase, status, lines, after, waits), waits.verdict()
        if not outcome.succeeded:
            run.directory.record(Judged(gate=f"after {phase.value}", verdicts=[verdict]))
            backup = run.directory.last(BackupTaken)
            path = backup.path if backup else "(none in this run)"
            raise AirflowFailException(describe_failure(outcome, path))
        if not verdict.ok:
            self._record_versions(run, database, f"{phase.value} ran")
        require(run, f"after {phase.value}", [verdict])

    def _end_unknown(
        self, run: RolloutRun, database: Schema, before: MigrationState, lost: OutcomeUnknown
    ) -> OutcomeUnknown:
        """Add to what is known of the command how the schema stands after it."""
        try:
            after = run.state(database.versions())
            self._record_versions(run, database, f"how {self.phase.value} ended is not known")
        except Exception as error:
            return OutcomeUnknown(
                f"{lost.known}. How far {self.phase.value} is is not known: the schema versions "
                f"cannot be read ({error})",
                f"bring the database back; {lost.next_step}",
            )
        stands, then = describe_unknown_end(self.phase, before, after)
        return OutcomeUnknown(
            f"{lost.known}. {stands}", f"{lost.next_step}. More precisely: {then}"
        )

    def _watched(self, run: RolloutRun, context: Any) -> tuple[int, list[str], LockWaits]:
        """Run keystone-manage beside a watch; return its outcome, and the waits."""
        phase = self.phase
        try:
            target = self.target(run.cloud)
            self.configuration = run.configuration.phase(target)
            self.log.info("%s: %s", phase.value, self.configuration)
            waits = self.configuration.lock_wait_timeout
            watch = run.schema_of(target).watch_locks(phase.value, waits)
            try:
                with watch:
                    status, lines = self.keystone_manage(run, context)
            finally:
                run.directory.record(watch.waits.event())
        except (PhaseConfigurationError, LockWatchError) as error:
            raise AirflowFailException(f"{phase.value} was not started: {error}") from error
        return status, lines, watch.waits

    def _is_live(self, run: RolloutRun) -> bool:
        return self.target(run.cloud) == live_target(run.cloud)

    def _record_versions(self, run: RolloutRun, database: Schema, did: str) -> None:
        run.directory.record(
            VersionsRead(
                after=self.phase.value,
                versions=run.state(database.versions()).by_phase(),
                did=did,
                triggers=database.triggers(),
            )
        )


def refuse_anything_old(run: RolloutRun) -> None:
    """Look at every node and server once more: raise AirflowFailException unless all are new.

    Between the verification and this moment there is an approval, which may take an hour, and
    perhaps a rollback, after which somebody clears the failed tasks of this run.
    """
    require(run, "all nodes, at contract", verify_nodes(run, before_contract(run.cloud)))
