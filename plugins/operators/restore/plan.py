"""Find out what a restore would need and lose, while everything serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keystone_rollout.domain.run.events import Look, Planned, RestoreChanged
from keystone_rollout.domain.schema.contract_heads import contract_mark
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.domain.units import duration, moment
from keystone_rollout.procedures.restore.checks import RestoreChecks
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.notification import warn_unreachable
from keystone_rollout.procedures.run.run import RolloutRun
from operators.restore.operator import RestoreOperator

NOT_CONTRACTED = (
    "Contract has not run: DAG keystone_rollback rolls the nodes back without losing a write"
)


class PlanRestoreOperator(RestoreOperator):
    """The plan: a backup, checked and loaded beside the live schema, and the difference to that."""

    standing = "Nothing was touched"

    def run_step(self, run: RolloutRun, context: Any) -> dict[str, Any]:
        """Log and record the plan, and return it."""
        cloud, session, store = run.cloud, RestoreSession(run), run.backups
        backup = store.find(context["params"]["backup"] or "", cloud.source)
        facts = store.facts(backup)
        self.log.info("Backup %s, taken %s", backup, moment(facts.taken))
        reports = run.nodes.reports()
        run.directory.record(Planned(
            cloud=cloud.name, source=cloud.source, target=cloud.target,
            state=session.live.versions().by_phase(), nodes=reports,
        ))  # fmt: skip
        age = run.clock.now() - facts.taken
        session.record(backup=backup.name, taken=facts.taken, age_seconds=age)
        run.record_unverified()
        warn_unreachable(cloud, run.directory)
        require(run, "preflight", RestoreChecks(run).run(backup, reports), Look.PREFLIGHT)
        plan = self._compare(session, backup)
        run.directory.record(plan)
        self._log(session, plan)
        return plan.to_dict()

    def _compare(self, session: RestoreSession, backup: Path) -> RestoreChanged:
        kept = session.load.load(backup).versions()
        reasons = session.reasons_to_swap()
        restore, last = session.history.open(), session.history.last_downtime()
        planned = session.loss() if reasons else Difference()
        if not reasons and restore and restore.backup == backup.name:
            planned = restore.lost or planned  # its tables are moved: that much is lost already
        return RestoreChanged(
            backup_versions=kept,
            swap_needed=bool(reasons),
            reasons=reasons,
            planned=planned,
            last_downtime=[last.until_first, last.until_all] if last else None,
            hint=NOT_CONTRACTED
            if reasons and contract_mark(session.live.versions()) == contract_mark(kept)
            else "",
        )

    def _log(self, session: RestoreSession, plan: RestoreChanged) -> None:
        loss = plan.planned or Difference()
        for reason in plan.reasons or ["the schema stands where the backup does, and stays"]:
            self.log.info("Why: %s", reason)
        self.log.info("Loss: %s", loss.sentence())
        for table in loss.affected:
            self.log.info("  %s", table)
        self.log.info("Age of the backup: %s", duration(session.section().age_seconds or 0.0))
        if plan.hint:
            self.log.warning(plan.hint)
