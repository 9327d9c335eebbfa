"""Judge whether a cloud can be rolled back to the source release, and list what stays behind."""

from __future__ import annotations

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.contract_heads import contracted_past
from keystone_rollout.domain.schema.state import MigrationState, refused
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.domain.verdict import Verdict


def judge_way_back(cloud: Cloud, state: MigrationState) -> Verdict:
    """Judge whether the schema still serves the source release.

    It does unless a contract migration has run that the source release does not have: until
    contract, and after it if this hop's contract has no migration.
    """
    source = cloud.source_release
    reason = refused(state)
    past = None if reason else contracted_past(source.major, state)
    at = state.version(Phase.CONTRACT) or "none"
    return Verdict(
        ok=past is False,
        check="way back",
        object=cloud.databases.schema_name,
        measured=reason or f"contract at {at}, schema at {state}",
        limit=f"no contract migration run that {source} does not have"
        + (f", and which ones it has is not known here (target {state.image})"
           if past is None and not reason else ""),
        consequence="after contract there is no way back node by node: columns that "
        f"{source} needs are gone, and its nodes would answer writes with 500",
        next_step="stay on the target release; or restore the verified backup with DAG "
        "keystone_restore, which has a downtime and loses every write since the backup",
    )  # fmt: skip


def left_behind(cloud: Cloud, state: MigrationState) -> list[str]:
    """Return what a rollback leaves as it is, one sentence each."""
    source, target = cloud.source_release, cloud.target_release
    return [
        f"The schema stays as it is, at {state}: it serves {source} and {target} alike, and the "
        "next upgrade goes on from there.",
        f"The packages and the configuration of {target} stay on the nodes, not installed.",
        f"The backup stays in {cloud.backup_directory}.",
    ]
