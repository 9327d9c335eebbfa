"""A node's turn follows from the states of the tasks before it, and from no others."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.node.turn import Turn, decide_turn, tasks_before

SIBLINGS = ["nodes.upgrade_first_node", "nodes.upgrade_node"]
FIRST, SECOND, THIRD = "nodes.upgrade_first_node", "nodes.upgrade_node_0", "nodes.upgrade_node_1"


def test_the_canary_and_lower_indices_come_before_a_node() -> None:
    assert tasks_before(SIBLINGS, "nodes.upgrade_node", 2) == [FIRST, SECOND, THIRD]
    assert tasks_before(SIBLINGS, "nodes.upgrade_node", 0) == [FIRST]
    assert tasks_before(["nodes.rollback_node"], "nodes.rollback_node", 0) == []


@pytest.mark.parametrize(
    ("first", "second", "third", "turn", "because_of"),
    [
        ("success", "success", "scheduled", Turn.NOW, ()),
        ("success", "success", "failed", Turn.NOW, ()),  # it was refused, or failed before a clear
        ("success", "skipped", None, Turn.NOW, ()),
        ("success", "removed", None, Turn.NOW, ()),
        ("success", None, None, Turn.LATER, (SECOND,)),
        ("success", "scheduled", "success", Turn.LATER, (SECOND,)),
        ("success", "running", None, Turn.LATER, (SECOND,)),
        ("success", "up_for_reschedule", None, Turn.LATER, (SECOND,)),
        ("success", "up_for_retry", None, Turn.LATER, (SECOND,)),
        (None, None, None, Turn.LATER, (FIRST, SECOND)),
        ("success", "failed", None, Turn.REFUSED, (SECOND,)),
        ("success", "upstream_failed", None, Turn.REFUSED, (SECOND,)),
        ("failed", None, None, Turn.REFUSED, (FIRST,)),
    ],
)
def test_a_node_goes_waits_or_is_refused(
    first: str | None,
    second: str | None,
    third: str | None,
    turn: Turn,
    because_of: tuple[str, ...],
) -> None:
    states = {FIRST: first, SECOND: second, THIRD: third, "nodes.upgrade_node_2": "running"}
    decision = decide_turn(states, [FIRST, SECOND])
    assert (decision.turn, decision.because_of) == (turn, because_of)


def test_a_decision_names_the_tasks_in_their_way() -> None:
    assert str(decide_turn({FIRST: None, SECOND: None}, [FIRST, SECOND])) == f"{FIRST}, {SECOND}"
