"""Gather what somebody has to know who is asked whether contract may run."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.load.samples import merge
from keystone_rollout.domain.node.cycle import RunningRelease
from keystone_rollout.domain.schema.forecast import forecast
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.hooks.database.keystone import KeystoneDatabase
from keystone_rollout.hooks.node.all_nodes import AllNodes, report_in_words
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
    state = run.state(KeystoneDatabase(cloud).versions())
    contract = forecast(Phase.CONTRACT, state)
    return ContractEvidence(
        cloud=cloud.name,
        source=str(cloud.source_release),
        target=str(cloud.target_release),
        nodes=_nodes(cloud),
        load=load_evidence(run),
        backup=backup_evidence(run),
        pending=[each.name for each in contract.pending],
        forecast=contract.sentence,
        schema=str(state),
        heads=str(state.image),
        deviations=[event["text"] for event in run.directory.events("note")],
        answer_seconds=cloud.limits.approval_seconds,
    )


def _nodes(cloud: Cloud) -> list[NodeEvidence]:
    return [
        NodeEvidence(
            name,
            report_in_words(report),
            isinstance(report, RunningRelease) and report.serves(cloud.target),
        )
        for name, report in AllNodes(cloud).reports().items()
    ]


def load_evidence(run: RolloutRun) -> LoadEvidence:
    """Return what all sessions of the load have measured, and the newest baseline."""
    whole = merge(LoadSession(run).all_samples())
    baseline = run.directory.last("baseline") or {}
    p99 = whole.percentile(99) if whole.measured else None
    return LoadEvidence(whole.requests, whole.failures, p99, baseline.get("p99"))


def backup_evidence(run: RolloutRun) -> BackupEvidence | None:
    """Return the newest backup, and when the gate after it found it good."""
    backup: dict[str, Any] | None = None
    good: dict[str, Any] | None = None
    for event in run.directory.events():
        if event["kind"] == "backup":
            backup, good = event, None
        elif event["kind"] == "gate" and event["gate"] == "backup":
            good = event if all(verdict["ok"] for verdict in event["verdicts"]) else None
    if backup is None:
        return None
    return BackupEvidence(
        path=str(backup["path"]),
        size=int(backup["bytes"]),
        verified=good["t"] if good else None,
        measured="; ".join(verdict["measured"] for verdict in good["verdicts"]) if good else "",
    )
