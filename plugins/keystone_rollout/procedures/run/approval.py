"""Gather the evidence for the question whether contract may run."""

from __future__ import annotations

from keystone_rollout.domain.load.samples import merge
from keystone_rollout.domain.run.events import (
    BackupTaken,
    BaselineMeasured,
    Judged,
    Look,
    Noted,
    undisturbed,
)
from keystone_rollout.domain.schema.forecast import forecast
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.domain.verdict import failed
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.views.messages.approval import (
    BackupEvidence,
    ContractEvidence,
    LoadEvidence,
    NodeEvidence,
)


def contract_evidence(run: RolloutRun) -> ContractEvidence:
    """Ask nodes and database now; take the load and the backup from the run's own record."""
    cloud = run.cloud
    state = run.state(run.schema.versions())
    contract = forecast(Phase.CONTRACT, state)
    return ContractEvidence(
        cloud=cloud.name,
        source=str(cloud.source_release),
        target=str(cloud.target_release),
        nodes=_nodes(run),
        load=load_evidence(run),
        backup=backup_evidence(run),
        pending=[each.name for each in contract.pending],
        forecast=contract.sentence,
        schema=str(state),
        heads=str(state.image),
        deviations=[event.text for event in run.directory.events(Noted)],
        answer_seconds=cloud.limits.approval_seconds,
    )


def _nodes(run: RolloutRun) -> list[NodeEvidence]:
    return [
        NodeEvidence(
            name,
            report.in_full,
            report.serves_for_certain(run.cloud.target),
        )
        for name, report in run.nodes.reports().items()
    ]


def load_evidence(run: RolloutRun) -> LoadEvidence:
    """Return what all sessions of the load have measured, and the baselines."""
    whole = merge(LoadSession(run).all_samples())
    baselines = run.directory.events(BaselineMeasured)
    first = undisturbed(baselines)
    return LoadEvidence(
        whole.requests,
        whole.failures,
        whole.percentile(99) if whole.timed else None,
        first.p99 if first else None,
        [each for each in baselines if each.mid_upgrade],
    )


def backup_evidence(run: RolloutRun) -> BackupEvidence | None:
    """Return the newest backup, and the time at which it was verified."""
    backup: BackupTaken | None = None
    good: Judged | None = None
    for event in run.directory.all_events():
        if isinstance(event, BackupTaken):
            backup, good = event, None
        elif isinstance(event, Judged) and event.look is Look.BACKUP:
            good = None if failed(event.verdicts) else event
    if backup is None:
        return None
    return BackupEvidence(
        path=backup.path,
        size=backup.bytes,
        verified=good.t if good else None,
        measured="; ".join(verdict.measured for verdict in good.verdicts) if good else "",
    )
