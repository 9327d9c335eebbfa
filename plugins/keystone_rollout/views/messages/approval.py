"""Write the approval's question with the measurements that are needed to answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keystone_rollout.domain.run.events import BaselineMeasured
from keystone_rollout.domain.units import (
    NOT_ENOUGH_DATA,
    count,
    duration,
    milliseconds,
    moment,
    size,
)
from keystone_rollout.views.report.tables import again_in_words


@dataclass(frozen=True)
class NodeEvidence:
    """What one node runs, read just before the question."""

    name: str
    report: str
    done: bool
    """Whether it serves the target release, and nothing else."""


@dataclass(frozen=True)
class LoadEvidence:
    """The measurements of the load since its start; None if too little was measured."""

    requests: int
    failures: int
    p99: float | None
    baseline_p99: float | None
    """Of the undisturbed cloud."""
    measured_again: Sequence[BaselineMeasured] = ()
    """What a resumed run has measured in mid-upgrade."""


@dataclass(frozen=True)
class BackupEvidence:
    """The dump; ``verified`` is the time at which it was restored and compared, or None."""

    path: str
    size: int
    verified: float | None
    measured: str = ""


@dataclass(frozen=True)
class ContractEvidence:
    """Everything that the question shows."""

    cloud: str
    source: str
    target: str
    nodes: Sequence[NodeEvidence]
    load: LoadEvidence
    backup: BackupEvidence | None
    pending: Sequence[str]
    forecast: str
    schema: str
    heads: str
    deviations: Sequence[str]
    answer_seconds: float


def open_points(evidence: ContractEvidence) -> list[str]:
    """Return the reasons against an approval, a phrase each."""
    old = [node.name for node in evidence.nodes if not node.done]
    load, backup = evidence.load, evidence.backup
    points = {
        f"not on {evidence.target}: {', '.join(old)}": bool(old),
        "no node is known": not evidence.nodes,
        f"{count(load.failures)} requests failed": load.failures > 0,
        "no request was made, so nobody knows whether clients noticed": load.requests == 0,
        "no backup was verified in this run": backup is None or backup.verified is None,
    }
    return [text for text, holds in points.items() if holds]


def approval_text(evidence: ContractEvidence) -> str:
    """Return the question's text, in Markdown; the reasons against an approval come first."""
    against = open_points(evidence)
    head = (
        f"**Look at this first:** {'; '.join(against)}."
        if against
        else f"Every node serves {evidence.target}, no request failed, the backup is verified."
    )
    paragraphs = [
        head,
        f"{evidence.cloud}: {evidence.source} → {evidence.target}. After contract no node can be "
        f"rolled back to {evidence.source}; the only way back is the backup, with a downtime and "
        "without every write since.",
        _list("Nodes", [_node(node) for node in evidence.nodes]),
        _list("Clients, since the load began", _load(evidence.load)),
        _list("Backup", _backup(evidence.backup)),
        _list("Contract", _contract(evidence)),
        _list("Set otherwise than in the cloud file, or worth knowing", evidence.deviations),
        f"No answer within {duration(evidence.answer_seconds)} is a rejection. Rejected: the run "
        "ends red, everything serves on; clear this task to be asked again, or trigger "
        "`keystone_rollback`.",
    ]
    return "\n\n".join(part for part in paragraphs if part)


def _list(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"**{title}**", "", *(f"* {line}" for line in lines)]) if lines else ""


def _node(node: NodeEvidence) -> str:
    return f"{node.name}: {node.report}{'' if node.done else ' (**not the target release**)'}"


def _load(load: LoadEvidence) -> list[str]:
    if not load.requests:
        return [f"requests: {NOT_ENOUGH_DATA}, none was made"]
    ratio = f" ({load.p99 / load.baseline_p99:.1f} times)" if load.p99 and load.baseline_p99 else ""
    return [
        f"{count(load.failures)} of {count(load.requests)} requests failed",
        f"p99 of the whole run: {milliseconds(load.p99)}; baseline before anything changed: "
        f"{milliseconds(load.baseline_p99)}{ratio}",
        *(again_in_words(each) for each in load.measured_again),
    ]


def _backup(backup: BackupEvidence | None) -> list[str]:
    if backup is None:
        return ["none in this run"]
    verified = (
        f"verified {moment(backup.verified)}" if backup.verified is not None else "**not verified**"
    )
    return [
        f"`{backup.path}`, {size(backup.size)}, {verified}",
        *([backup.measured] if backup.measured else []),
    ]


def _contract(evidence: ContractEvidence) -> list[str]:
    lines = [f"schema now: {evidence.schema}; heads of {evidence.target}: {evidence.heads}"]
    if evidence.pending:
        return [*lines, *(f"will run `{name}`" for name in evidence.pending)]
    return [*lines, evidence.forecast]
