"""The moments at which faults strike."""

from __future__ import annotations

from tests.scenarios import moments

EVENTS = [
    {"t": 1.0, "kind": "step", "step": "plan", "state": "started"},
    {"t": 2.0, "kind": "plan", "nodes": {}},
    {"t": 3.0, "kind": "step", "step": "plan", "state": "finished"},
    {"t": 4.0, "kind": "gate", "gate": "before doctor", "verdicts": [
        {"check": "load failures", "ok": True, "measured": "0 failed of 9 requests"},
        {"check": "load process", "ok": False, "measured": "process 7 has ended"},
    ]},
    {"t": 5.0, "kind": "node", "node": "keystone-1", "state": "drain", "text": ""},
    {"t": 6.0, "kind": "node", "node": "keystone-2", "state": "stopped", "text": ""},
    {"t": 7.0, "kind": "node", "node": "keystone-1", "state": "maint", "text": ""},
]  # fmt: skip


def test_a_step_is_reached_in_its_own_state_only() -> None:
    assert moments.step("plan").reached(EVENTS[:1])
    assert not moments.step("plan", "finished").reached(EVENTS[:2])
    assert moments.step("plan", "finished").reached(EVENTS)
    assert not moments.step("preflight").reached(EVENTS)


def test_a_node_is_reached_by_its_own_state_only() -> None:
    assert moments.node("keystone-1", "drain").reached(EVENTS)
    assert not moments.node("keystone-1", "stopped").reached(EVENTS)
    assert not moments.node("keystone-1", "drain").reached(EVENTS[:4])


def test_a_kind_is_reached_when_it_is_recorded() -> None:
    assert not moments.recorded("plan").reached(EVENTS[:1])
    assert moments.recorded("plan").reached(EVENTS)
    assert not moments.recorded("baseline").reached(EVENTS)


def test_a_check_is_violated_by_a_verdict_that_is_not_ok() -> None:
    assert moments.violated("load process").reached(EVENTS)
    assert not moments.violated("load failures").reached(EVENTS)


def test_verdicts_know_their_gate_and_time() -> None:
    assert moments.verdicts(EVENTS, "load process") == [
        {
            "check": "load process",
            "ok": False,
            "measured": "process 7 has ended",
            "gate": "before doctor",
            "t": 4.0,
        }
    ]


def test_a_moment_has_a_name_for_the_table() -> None:
    assert str(moments.step("expand")) == "step expand started"
    assert str(moments.node("keystone-1", "stopped")) == "keystone-1 stopped"
    assert str(moments.recorded("plan")) == "plan recorded"


def test_states_come_in_their_order() -> None:
    assert moments.node_states(EVENTS, "keystone-1") == ["drain", "maint"]
    assert moments.steps(EVENTS) == {"plan"}
    assert moments.steps(EVENTS, "failed") == set()


def test_a_run_is_ending_when_a_step_failed_or_the_load_is_stopped() -> None:
    assert not moments.is_ending(EVENTS)
    failed = {"t": 8.0, "kind": "step", "step": "expand", "state": "failed", "reason": "x"}
    assert moments.is_ending([*EVENTS, failed])
    assert moments.is_ending([*EVENTS, {"t": 8.0, "kind": "load_stopped", "session": 1}])
