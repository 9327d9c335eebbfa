"""Put a node's cycle together from the machine, the load balancers, the prover and the record."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from keystone_rollout.domain.cloud.model import Node
from keystone_rollout.domain.node.cycle import NodeCycle, NodeState, TakenOver
from keystone_rollout.domain.run.events import node_changed
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


class CycleNotes:
    """The notes of one attempt at one node (domain.node.cycle.NodeCycle.note).

    A scheduler that was killed may start a task again while its first process still works. The
    newest attempt owns the server's mark; an older one finds that out at its next note, and stops.
    """

    def __init__(self, run: RolloutRun, node: Node) -> None:
        self.run = run
        self.node = node
        self.attempt = uuid.uuid4().hex
        self._marked = False

    def marked(self) -> bool:
        """Tell whether the server has a mark that this attempt has made or taken over."""
        return self._marked

    def __call__(self, state: NodeState, text: str) -> None:
        """Record one change; TakenOver if another attempt works on the node by now."""
        if state is NodeState.DRAIN or (
            state is NodeState.FOUND and self.node.server in self.run.marks.all()
        ):
            self.run.marks.mark(self.node.server, self.run.directory.run_id, self.attempt)
            self._marked = True
        elif self._marked:
            self._check_not_taken_over()
        log.info("%s: %s (%s)", self.node.name, state, text)
        self.run.directory.record(node_changed(self.node.name, state, text))
        # OUT: a person took the server, so that no later run returns it.
        if state in (NodeState.UP, NodeState.DONE, NodeState.OUT) and self._marked:
            self._clear()

    def note(self, text: str) -> None:
        """Record something worth knowing that changes no state."""
        log.warning("%s: %s", self.node.name, text)
        self.run.directory.record(node_changed(self.node.name, NodeState.NOTE, text))

    def _check_not_taken_over(self) -> None:
        try:
            mark = self.run.marks.all().get(self.node.server)
            self.run.lock.keep_alive()
        except Exception as error:
            # A node must not stay out of rotation half-way because the database does not answer.
            log.warning("%s: the mark could not be read (%s); going on", self.node.name, error)
            return
        if mark is not None and mark.attempt != self.attempt:
            raise TakenOver(
                f"another attempt took {self.node.name} over at {mark.since} (run {mark.run_id}); "
                "this one stops without another act"
            )

    def _clear(self) -> None:
        try:
            self.run.marks.clear(self.node.server)
            self._marked = False
        except Exception as error:
            # The next run proves the node again, and clears the mark then.
            log.warning("%s: its mark stays (%s)", self.node.name, error)


def node_cycle(
    run: RolloutRun, node: Node, connection: Any = None, *, back: bool = False
) -> NodeCycle:
    """Return the cycle of one node from the source to the target release.

    :param connection: an operator's own one to the node; by default another is made
    :param back: the other way round, from the target to the source release, before contract
    """
    cloud = run.cloud
    source, target = (cloud.target, cloud.source) if back else (cloud.source, cloud.target)
    notes = CycleNotes(run, node)
    return NodeCycle(
        node=node.name,
        server=node.server,
        source=source,
        target=target,
        rotation=run.balancers,
        machine=run.nodes.machine(node, notes.note, connection),
        prover=run.keystone.prover(node, cloud.limits.node.start_seconds),
        note=notes,
        marked=notes.marked,
        certain=not back,  # what it goes back to serves the schema, whichever of the two it is
    )
