"""Return the nodes that an upgrade has left out of rotation."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from keystone_rollout.domain.cloud.model import Node
from keystone_rollout.domain.run.events import Returned
from keystone_rollout.procedures.node.cycle import node_cycle
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


class NodesStayOut(RuntimeError):
    """The nodes that could not be returned, why, and what to do."""


def return_nodes(run: RolloutRun) -> list[str]:
    """Return every node whose server an upgrade marked as out to rotation; return a sentence each.

    A server without a mark was taken out by somebody else, and stays as it is. Every node is tried,
    even if others fail; then NodesStayOut names those that stay out.
    """
    done, problems = [], []
    for node in _left_out(run):
        try:
            # Also one that serves: HAProxy was restarted perhaps, or a person set it ready.
            done.append(node_cycle(run, node).return_left_out())
        except Exception as error:
            problems.append(f"{node.name}: {error}")
            continue
        log.warning(done[-1])
        run.directory.record(Returned(text=done[-1]))
    if problems:
        raise NodesStayOut("\n- ".join(["nodes that stay out of rotation:", *problems]))
    return done


def _left_out(run: RolloutRun) -> Iterator[Node]:
    marked = run.marks.all()
    return (node for node in run.cloud.nodes if node.server in marked)
