"""Put a node's cycle together from the machine, the load balancers, the prover and the record."""

from __future__ import annotations

from keystone_rollout.domain.cloud.model import Node
from keystone_rollout.domain.node.cycle import NodeCycle
from keystone_rollout.hooks.haproxy.rotation import Rotation
from keystone_rollout.hooks.keystone.api import NodeProver
from keystone_rollout.hooks.node.machine import NodeMachine
from keystone_rollout.procedures.node.notes import CycleNotes
from keystone_rollout.procedures.run.run import RolloutRun


def node_cycle(
    run: RolloutRun, node: Node, machine: NodeMachine | None = None, *, back: bool = False
) -> NodeCycle:
    """Return the cycle of one node from the source to the target release.

    ``back`` turns it round: from the target to the source release, before contract.
    """
    cloud = run.cloud
    source, target = (cloud.target, cloud.source) if back else (cloud.source, cloud.target)
    notes = CycleNotes(run, node)
    return NodeCycle(
        node=node.name,
        server=node.server,
        source=source,
        target=target,
        rotation=Rotation(cloud),
        machine=machine or NodeMachine(cloud, node, note=notes.note),
        prover=NodeProver(cloud.api.connection, node.url, cloud.limits.node.start_seconds),
        note=notes,
    )
