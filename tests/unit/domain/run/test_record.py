"""The run record is built from events and samples, and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest

from keystone_rollout.domain.load.samples import Sample
from keystone_rollout.domain.run.events import Event, read_event
from keystone_rollout.domain.run.record import build_record
from keystone_rollout.domain.verdict import Verdict
from tests.stand_ins import record_example as example


def event(t: float, kind: str, **fields: Any) -> Event:
    return read_event({"t": t, "kind": kind, **fields})


def record_of(
    events: Sequence[Event], samples: Sequence[Sample] = (), state: str = "failed"
) -> dict[str, Any]:
    return build_record("run", events, samples, state).to_dict()


def seconds_out(events: list[Event]) -> dict[str, float]:
    nodes = record_of(events, state="failed")["nodes"]
    return {name: each["out_of_rotation"] for name, each in nodes.items()}


def node(t: float, state: str, name: str = "keystone-1") -> Event:
    return event(t, "node", node=name, state=state, text=state)


def test_a_run_without_events_has_an_empty_record() -> None:
    record = record_of([], state="failed")
    assert record["began"] is record["ended"] is record["plan"] is None
    assert record["load"] == {
        "requests": 0, "failures": 0, "failures_by_name": {}, "longest_gap": 0.0, "p50": None,
        "p95": None, "p99": None, "baseline_p99": None, "seconds": 0, "series": [],
        "measured_again": [],
    }  # fmt: skip
    assert record["verdicts"] == record["steps"] == record["versions"] == record["variable"] == []
    assert record["lock_waits"] == []
    assert record["nodes"] == {}
    assert record["backup"] is record["writes"] is None


def test_the_load_is_summed_up_and_kept_second_by_second() -> None:
    samples = [
        Sample(10, 3, 0, 2, 10.9, 0.2, {20.0: 2, 90.0: 1}, {"issue_token": (3, 0)}),
        Sample(11, 0, 0, 2, None, 0.0, {}, {}),
        Sample(12, 2, 1, 2, 12.5, 1.6, {30.0: 2}, {"issue_token": (2, 1)}),
    ]
    record = record_of(
        [event(9, "baseline", session=1, start=1, end=8, p99=80.0)], samples, "succeeded"
    )
    load = record["load"]
    assert (load["requests"], load["failures"], load["seconds"]) == (5, 1, 3)
    assert (load["p50"], load["p95"], load["p99"]) == (30.0, 90.0, 90.0)
    assert load["baseline_p99"] == 80.0
    assert (load["longest_gap"], load["failures_by_name"]) == (1.6, {"issue_token": 1})
    nothing = {"p50": None, "p95": None, "p99": None}
    assert load["series"][1] == {"t": 11, "requests": 0, "failures": 0, **nothing}


def verdict(ok: bool, check: str) -> dict[str, Any]:
    return asdict(Verdict(ok, check, "x", "1", "2"))


def test_verdicts_know_their_gate_and_violated_ones_stand_apart() -> None:
    gates = [
        event(1, "gate", gate="preflight", verdicts=[verdict(True, "a")]),
        event(2, "gate", gate="end", verdicts=[verdict(False, "b")]),
    ]
    record = record_of(gates, state="failed")
    assert [(each["gate"], each["check"], each["t"]) for each in record["verdicts"]] == [
        ("preflight", "a", 1),
        ("end", "b", 2),
    ]
    assert [each["check"] for each in record["violated"]] == ["b"]


def test_steps_have_an_end_unless_they_were_killed() -> None:
    record = record_of(
        [
            event(1, "step", step="expand", state="started"),
            event(3, "step", step="expand", state="failed", reason="at 30, head is 44"),
            event(4, "step", step="expand", state="started"),
            event(6, "step", step="expand", state="finished"),
            event(7, "step", step="migrate", state="started"),
        ],
    )
    keys = ("name", "began", "state", "ended", "reason")
    assert [tuple(step[key] for key in keys) for step in record["steps"]] == [
        ("expand", 1, "failed", 3, "at 30, head is 44"),
        ("expand", 4, "finished", 6, ""),
        ("migrate", 7, "started", None, ""),
    ]


def test_a_step_that_was_killed_stays_unfinished_when_its_next_attempt_ends() -> None:
    started = {"step": "expand", "state": "started"}
    events = [event(1, "step", **started), event(5, "step", **started),
              event(6, "step", step="expand", state="finished")]  # fmt: skip
    steps = record_of(events, state="succeeded")["steps"]
    assert [(step["began"], step["state"]) for step in steps] == [
        (1, "started"),
        (5, "finished"),
    ]


@pytest.mark.parametrize(
    ("states", "seconds", "since"),
    [
        ([(1, "found"), (2, "drain"), (3, "maint"), (9, "up")], 7.0, None),
        ([(2, "drain"), (3, "maint"), (5, "going back"), (12, "up")], 10.0, None),
        ([(2, "drain"), (4, "up"), (10, "drain"), (13, "up")], 5.0, None),
        ([(2, "drain"), (3, "maint"), (5, "going back")], 0.0, 2),
        ([(2, "done")], 0.0, None),
    ],
    ids=["upgraded", "went back", "twice", "left out", "already done"],
)
def test_seconds_out_of_rotation_count_from_drain_to_up(
    states: list[tuple[float, str]], seconds: float, since: float | None
) -> None:
    events = [node(t, state) for t, state in states]
    assert seconds_out(events) == {"keystone-1": seconds}
    found = record_of(events, state="failed")["nodes"]["keystone-1"]
    assert (found["out_of_rotation"], found["since"]) == (seconds, since)
    assert found["state"] == states[-1][1]
    assert [each["t"] for each in found["history"]] == [t for t, _state in states]


def test_nodes_do_not_mix() -> None:
    events = [node(1, "drain", "a"), node(4, "up", "a"), node(5, "drain", "b"), node(7, "up", "b")]
    assert seconds_out(events) == {"a": 3.0, "b": 2.0}


def test_the_example_is_a_whole_record() -> None:
    record = example.succeeded()
    assert record["state"] == "succeeded"
    assert record["violated"] == []
    assert record["load"]["failures"] == 0
    assert [each["after"] for each in record["versions"]] == ["expand", "migrate", "contract"]
    assert sorted(record["nodes"]) == ["keystone-1", "keystone-2", "keystone-3"]
    assert [each["value"] for each in record["variable"]] == ["1", "0"]


def test_the_writes_of_all_load_sessions_are_added_up() -> None:
    empty = {"created": 0, "missing": [], "unable": [], "undead": [], "unanswered": []}
    events = [
        event(1, "writes", session=1, **{**empty, "created": 5, "missing": ["a"]}),
        event(2, "writes", session=2, **{**empty, "created": 7}),
        event(3, "writes", session=1, **{**empty, "created": 5}),
    ]
    writes = record_of(events, state="succeeded")["writes"]
    assert {key: writes[key] for key in empty} == {**empty, "created": 12}


def test_what_did_not_go_the_plain_way_is_kept() -> None:
    events = [
        event(1, "lock", state="taken"),
        event(2, "lock", state="broken", of="run-1", done=["its load was stopped", "reported"]),
        event(3, "recovered", text="keystone-1 is rolled back to 12.0.3, ready and UP"),
        event(4, "node", node="keystone-2", state="note", text="session dropped during install"),
        event(5, "notification", happening="started", via="slack", connection="c", state="sent"),
        event(6, "notification", happening="halted", via="smtp", connection="mail",
              state="failed", error="ConnectionRefusedError: [Errno 111]"),
    ]  # fmt: skip
    assert record_of(events, state="succeeded")["deviations"] == [
        {"t": 2, "text": "the lock of run run-1 was broken: its load was stopped; reported"},
        {"t": 3, "text": "keystone-1 is rolled back to 12.0.3, ready and UP"},
        {"t": 4, "text": "keystone-2: session dropped during install"},
        {"t": 6, "text": "notification 'halted' by smtp (connection mail) could not be delivered: "
                         "ConnectionRefusedError: [Errno 111]; the run went on"},
    ]  # fmt: skip
