"""The point of no return: the backup's tables take the place of the live ones."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.recovery.confirmation import agreed_bound, objection, refusal
from keystone_rollout.domain.recovery.restore import OpenRestore, judge_loss, judge_writers
from keystone_rollout.domain.run.events import VersionsRead
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.run import RolloutRun
from operators.restore.operator import RestoreOperator


class SwapSchemasOperator(RestoreOperator):
    """The move of all tables in one statement, counted once more without a writer."""

    needs_lock = True
    standing = (
        "Nobody is served. Task settle_servers says whether the tables were moved: if not, it "
        "starts everything again as it was. Next: repair, then start keystone_restore again: it "
        "goes on where this run stopped"
    )

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Move the tables unless they are moved; AirflowFailException says which are where."""
        session = RestoreSession(run)
        restore, needed = session.history.open(), session.section().swap_needed
        if restore is None:
            if needed:
                raise AirflowFailException(
                    "no restore is open, so Keystone may be running: no table was moved. Next: "
                    "start keystone_restore again"
                )
            self.log.info("The schema stands where the backup does: nothing to move")
            return
        swap = session.swap(restore)
        if not session.moved(restore):
            if not needed:
                self.log.info("The schema stands where the backup does: nothing to move")
                return
            self._move(session, restore, context["params"]["confirm"] or "")
        swap.finish()
        session.history.keep_swapped(restore.replaced, run.clock.now())
        kept = session.history.open() or restore
        lost = kept.lost or session.section().planned
        session.record(swapped=kept.swapped, lost=lost, replaced=restore.replaced)
        run.directory.record(VersionsRead(
            after="restore", versions=session.live.versions().by_phase(),
            triggers=len(session.live.triggers()),
        ))  # fmt: skip
        self.log.info(
            "The tables that served until now are in schema %s. To drop them when nobody needs "
            "them any more: DROP DATABASE %s", restore.replaced, restore.replaced,
        )  # fmt: skip

    def _move(self, session: RestoreSession, restore: OpenRestore, confirm: str) -> None:
        run, backup = session.run, session.backup()
        serving = session.serving()
        if serving:
            raise AirflowFailException(
                f"no table was moved: measured {', '.join(serving)} serving, limit 0 servers. "
                "Next: clear task stop_keystone"
            )
        require(run, "before the swap", [
            judge_writers(session.live.schema, run.schema.writers()),
        ])  # fmt: skip
        if session.load.loaded() != backup.name:
            session.load.load(backup)
        lost = session.loss()
        bound = agreed_bound(confirm, backup.name)
        require(run, "before the swap", [judge_loss(backup.name, lost, bound or 0)])
        session.history.keep_lost(restore.replaced, lost)
        swap = session.swap(restore)
        try:
            swap.move()
        except Exception as error:
            if swap.done():
                raise
            raise AirflowFailException(
                f"no table was moved: {error}. The live schema is as it was; task settle_servers "
                "starts everything again. Next: end whoever holds a lock on a table, then start "
                "keystone_restore again"
            ) from error
        self.log.info("Lost: %s", lost.sentence())


class ConfirmRestoreOperator(RestoreOperator):
    """The comparison of param `confirm` with the plan."""

    standing = "Nothing was touched"

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Refuse with everything one should know before agreeing, and how to agree."""
        section = RestoreSession(run).section()
        loss = section.planned or Difference()
        reason = objection(context["params"]["confirm"] or "", section.backup or "", loss.total)
        if reason:
            raise AirflowFailException(refusal(reason, section, str(run.cloud.source_release)))
        self.log.info("Confirmed: %s", loss.sentence())
