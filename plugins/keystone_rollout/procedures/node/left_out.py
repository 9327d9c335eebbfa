"""Bring back the nodes that an upgrade has left out of rotation."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from keystone_rollout.domain.cloud.model import Node
from keystone_rollout.domain.run.events import Recovered
from keystone_rollout.hooks.database.marks import ServersOut
from keystone_rollout.procedures.node.cycle import node_cycle
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


class NodesStayOut(RuntimeError):
    """Say which nodes could not be brought back, why, and what to do."""


def bring_back(run: RolloutRun) -> list[str]:
    """Bring back every node whose server an upgrade marked as out; return what was done.

    A server without a mark was taken out by somebody else, and stays as it is. Each node is tried
    whatever became of the others; then NodesStayOut names those that stay out.
    """
    done, problems = [], []
    for node in _left_out(run):
        try:
            # Also one that serves: HAProxy was restarted perhaps, or a person set it ready.
            done.append(node_cycle(run, node).recover())
        except Exception as error:
            problems.append(f"{node.name}: {error}")
            continue
        log.warning(done[-1])
        run.directory.record(Recovered(text=done[-1]))
    if problems:
        raise NodesStayOut("\n- ".join(["nodes that stay out of rotation:", *problems]))
    return done


def _left_out(run: RolloutRun) -> Iterator[Node]:
    marked = ServersOut(run.cloud).all()
    return (node for node in run.cloud.nodes if node.server in marked)
