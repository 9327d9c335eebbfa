"""Judge whether a cloud can go back to the source release, and say what that leaves behind."""

from __future__ import annotations

from rollout.cloud import Cloud
from rollout.migration_state import Phase, SchemaVersions, is_done
from rollout.verdict import Verdict


def judge_way_back(cloud: Cloud, state: SchemaVersions, heads: SchemaVersions) -> Verdict:
    """Return whether the schema still serves the source release: until contract it does."""
    contracted = is_done(Phase.CONTRACT, state, heads)
    return Verdict(
        ok=not contracted,
        check="way back",
        object=cloud.databases.schema_name,
        measured=f"contract at {state.contract}, schema {state}",
        limit=f"contract below the head {heads.contract}",
        consequence="after contract there is no way back node by node: columns that "
        f"{cloud.source_release} needs are gone, and its nodes would answer writes with 500",
        next_step="stay on the target release; or restore the verified backup with DAG "
        "keystone_restore, which has a downtime and loses every write since the backup",
    )


def left_behind(cloud: Cloud, state: SchemaVersions) -> list[str]:
    """Return what a rollback does not take back, one sentence each."""
    source, target = cloud.source_release, cloud.target_release
    return [
        f"The schema stays expanded at {state}: it serves {source} and {target} alike, and the "
        "next upgrade goes on from there.",
        f"The packages and the configuration of {target} stay on the nodes, not installed.",
        f"The backup stays in {cloud.backup_directory}.",
    ]
