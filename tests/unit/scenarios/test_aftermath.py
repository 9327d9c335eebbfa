"""What has to be true after every fault; each wrong thing is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keystone_rollout.domain.node.server import ServerState
from tests.scenarios.aftermath import Aftermath, findings, interrupted_findings
from tests.scenarios.fault import Ends, Fault, Violation

READY = [ServerState(f"keystone-{number}", "UP", "ready", 0) for number in (1, 2, 3)]
WRITES = {"t": 9.0, "kind": "writes", "created": 4, "missing": [], "unable": [], "undead": []}
STARTED = {"t": 1.0, "kind": "load_started", "session": 1}
VERDICT = {
    "check": "load failures",
    "object": "locust",
    "measured": "7 failed of 90 requests",
    "limit": "0",
}
RED = Fault("7", "bad configuration", says=("is rolled back to 12.0.3",))
GOOD = Aftermath(
    code=1,
    words="keystone-1 is rolled back to\n12.0.3, ready and UP",
    events=[STARTED, WRITES],
    report={
        "state": "failed",
        "load": {"failures": 0, "requests": 90},
        "violated": [VERDICT],
    },
    has_page=True,
    load_runs=False,
    servers=READY,
    variable=0,
    locks=0,
)


def test_a_run_that_left_everything_in_order_has_no_findings() -> None:
    assert findings(GOOD, RED) == []


def report(**changes: Any) -> dict[str, Any]:
    return {**GOOD.report, **changes}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"code": 0}, "exit code 0 of a run that ends red"),
        ({"report": report(state="succeeded")}, "the report says 'succeeded', not 'failed'"),
        ({"report": {}}, "the report says None, not 'failed'"),
        ({"has_page": False}, "there is no report.html"),
        ({"load_runs": True}, "the load still runs"),
        (
            {"report": report(load={"failures": 3, "requests": 90})},
            "3 of 90 requests failed, allowed are 0",
        ),
        ({"events": [STARTED]}, "the acknowledged writes were not checked"),
        (
            {"events": [STARTED, {**WRITES, "missing": ["load-1-user-7"]}]},
            "acknowledged writes missing: load-1-user-7",
        ),
        (
            {"events": [STARTED, {**WRITES, "undead": ["load-1-user-7"]}, WRITES]},
            "acknowledged writes undead: load-1-user-7",
        ),
        ({"servers": []}, "HAProxy does not say which servers it has"),
        (
            {"servers": [*READY[:2], ServerState("keystone-3", "DOWN", "maint", 0)]},
            "keystone-3 is DOWN/maint, and no line of the log names it together with what to do",
        ),
        ({"variable": 1}, "log_bin_trust_function_creators is 1, it was 0"),
        ({"locks": 1}, "1 locks are not released"),
        ({"words": "keystone-1 went away"}, "the run did not say 'is rolled back to 12.0.3'"),
    ],
)
def test_each_wrong_thing_is_found(changes: dict[str, Any], found: str) -> None:
    assert findings(replace(GOOD, **changes), RED) == [found]


def test_a_server_that_is_out_has_to_be_named_with_what_to_do() -> None:
    out = replace(GOOD, servers=[ServerState("keystone-1", "DOWN", "maint", 0)])
    for line, explained in (
        ("keystone-1 is OUT of rotation", False),
        ("Next: repair something else", False),
        ("keystone-1 is OUT of rotation. Next: start the upgrade again", True),
        ("set server keystone-1 ready", True),
    ):
        text = f"{GOOD.words}\n{line}"
        assert (findings(replace(out, words=text), RED) == []) is explained, line


def test_a_fault_that_breaks_service_may_cost_requests() -> None:
    lossy = replace(GOOD, report=report(load={"failures": 3, "requests": 90}))
    assert findings(lossy, replace(RED, breaks_service=True)) == []


def test_a_run_without_load_has_no_writes_to_check() -> None:
    assert findings(replace(GOOD, events=[]), RED) == []


@pytest.mark.parametrize(
    ("violation", "matches"),
    [
        (Violation("load failures", " failed of ", "0"), True),
        (Violation("load failures", " failed of "), True),
        (Violation("load failures", " failed of ", subject="locust"), True),
        (Violation("load failures", " failed of ", "1"), False),
        (Violation("load failures", "of 91"), False),
        (Violation("load failures", " failed of ", subject="keystone-2"), False),
        (Violation("load gap", " failed of "), False),
    ],
)
def test_a_violation_is_looked_for_in_the_report(violation: Violation, matches: bool) -> None:
    found = findings(GOOD, replace(RED, violates=(violation,)))
    assert (found == []) is matches
    if not matches:
        assert found[0].startswith(f"not in the report: {violation}. Violated was: load failures")


def test_a_green_run_ends_with_0() -> None:
    green = replace(RED, ends=Ends.GREEN)
    well = replace(GOOD, code=0, report=report(state="succeeded"))
    assert findings(well, green) == []
    assert findings(GOOD, green) == [
        "exit code 1 of a run that ends green",
        "the report says 'failed', not 'succeeded'",
    ]


def test_of_a_killed_run_only_its_death_is_asked() -> None:
    killed = replace(RED, ends=Ends.KILLED)
    dead = replace(GOOD, code=-9, report={}, has_page=False, load_runs=True, locks=1, variable=1)
    assert findings(dead, killed) == []
    assert findings(replace(dead, code=1), killed) == ["exit code 1 of a run that was killed"]


def test_the_next_run_has_to_report_a_killed_one() -> None:
    good = {"state": "interrupted", "load": {"failures": 0}}
    assert interrupted_findings(good, page=True, load=False) == []
    assert interrupted_findings({}, page=False, load=True) == [
        "the killed run's report says None, not 'interrupted'",
        "the killed run has no report.html",
        "the killed run's load still runs",
    ]
    assert interrupted_findings({**good, "load": {"failures": 2}}, page=True, load=False) == [
        "the killed run has 2 failed requests, allowed are 0"
    ]
