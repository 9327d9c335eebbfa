"""Say which schema a phase changes, and with which connections it is reached."""

from __future__ import annotations

from dataclasses import dataclass

from keystone_rollout.domain.cloud.model import Cloud


@dataclass(frozen=True)
class PhaseTarget:
    """The schema that expand, migrate and contract change; connections are Airflow's, by their ids.

    All of them reach the cloud's one database server.
    """

    schema: str
    keystone: str
    """With which migrations run."""
    reader: str
    """May SELECT the schema."""
    administrator: str
    """Sees every session, dumps, and creates schemas."""


def live_target(cloud: Cloud) -> PhaseTarget:
    """Return the schema that the cloud serves from, which is what an upgrade changes."""
    databases = cloud.databases
    return PhaseTarget(
        databases.schema_name, databases.keystone, databases.reader, databases.administrator
    )


SCRATCH = "keystone_rollout_scratch"


def scratch_target(cloud: Cloud) -> PhaseTarget:
    """Return the schema into which a dump is loaded while everything serves.

    Its owner is the administrator: no other account of the cloud has a right on it.
    """
    administrator = cloud.databases.administrator
    return PhaseTarget(SCRATCH, administrator, administrator, administrator)
