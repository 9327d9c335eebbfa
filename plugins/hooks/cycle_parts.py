"""Put a node's cycle together from the machine, the load balancers, the prover and the record."""

from __future__ import annotations

from hooks.cycle_notes import CycleNotes
from hooks.keystone_api import NodeProver
from hooks.node_machine import NodeMachine
from hooks.rollout_run import RolloutRun
from hooks.rotation import Rotation
from rollout.cloud import Node
from rollout.node_cycle import NodeCycle


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
