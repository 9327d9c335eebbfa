"""Decide whether it is a node's turn, from the states of the tasks of the nodes before it.

Airflow starts the tasks of a mapped operator in any order, and the cloud file promises one. The
states are Airflow's own: they also show that a human has cleared a task, or marked it as done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

_BROKEN = frozenset({"failed", "upstream_failed"})
_OVER = frozenset({"success", "skipped", "removed"})


class Turn(Enum):
    """The answer to a node's task that asks whether it may begin."""

    NOW = "now"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True)
class Decision:
    """A turn, and the tasks that keep it from being now."""

    turn: Turn
    because_of: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(self.because_of)


def tasks_before(siblings: Sequence[str], task_id: str, index: int) -> list[str]:
    """Return the tasks that come before one of a mapped operator, as Airflow names their states.

    :param siblings: ids of the tasks that handle nodes; those beside the mapped one come first
    """
    first = [each for each in siblings if each != task_id]
    return first + [f"{task_id}_{each}" for each in range(index)]


def decide_turn(states: Mapping[str, str | None], before: Sequence[str]) -> Decision:
    """Decide from the states of the tasks before this one.

    Later ones are not asked: if one of them failed, it was refused because of a failure before it.
    """
    earlier = {name: states[name] for name in before if name in states}
    for turn, names in (
        (Turn.REFUSED, [name for name, state in earlier.items() if state in _BROKEN]),
        (Turn.LATER, [name for name, state in earlier.items() if state not in _OVER]),
    ):
        if names:
            return Decision(turn, tuple(names))
    return Decision(Turn.NOW)
