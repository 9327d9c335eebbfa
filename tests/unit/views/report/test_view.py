"""What the report says in words: verdict first, reasons, and the rows of its tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from keystone_rollout.domain.node.release_report import NodeReport, RunningRelease
from keystone_rollout.domain.run.events import (
    LocksWatched,
    StepState,
    VariableChanged,
    Work,
    WritesChecked,
)
from keystone_rollout.domain.run.record import Finding, StepTaken, read_record
from keystone_rollout.domain.units import clock, duration, elapsed, milliseconds, moment, size
from keystone_rollout.views.report.checks import group_checks
from keystone_rollout.views.report.lanes import lane_segments
from keystone_rollout.views.report.tables import (
    lock_waits_rows,
    node_row,
    steps_rows,
    variable_rows,
    writes_row,
)
from tests.stand_ins import record_example as example


def values(view: dict[str, Any]) -> list[str]:
    return [tile["value"] for tile in view["tiles"]]


@pytest.mark.parametrize(
    ("record", "headline", "summary"),
    [
        (example.succeeded, "Succeeded", "Keystone served all the way through: no request failed."),
        (
            example.failed,
            "Failed",
            "It stopped before the next step; what follows says why, and what to do.",
        ),
        (example.failed_in_preflight, "Failed", "It stopped before anything was touched."),
        (
            example.failed_at_once,
            "Failed",
            "It ended before there was a plan: nothing was touched.",
        ),
        (
            example.restored,
            "Succeeded",
            f"The old release serves again, from {example.RESTORED_BACKUP}.",
        ),
        (example.restore_refused, "Failed", "It stopped before anything was touched."),
        (
            example.without_load,
            "Not proven",
            "Every task succeeded, but there was no load: nobody knows whether clients noticed.",
        ),
    ],
)
def test_the_verdict_comes_in_one_sentence(
    record: Callable[[], dict[str, Any]], headline: str, summary: str
) -> None:
    view = example.view(record())
    assert (view["headline"], view["summary"]) == (headline, summary)


def test_what_was_not_measured_is_not_a_zero() -> None:
    assert values(example.view(example.failed_at_once())) == ["not enough data"] * 4
    assert values(example.view(example.without_load()))[:3] == ["not enough data"] * 3


def test_a_restores_tiles_are_downtime_and_loss() -> None:
    tiles = example.view(example.restored())["tiles"]
    assert [(tile["value"], tile["label"]) for tile in tiles] == [
        ("43 s", "until the first server served again"),
        ("46 s", "until all servers served again"),
        ("2,481", "writes lost"),
        ("2 h 5 min", "age of the backup"),
    ]
    refused = example.view(example.restore_refused())["tiles"]
    assert [tile["value"] for tile in refused[:2]] == ["not enough data"] * 2
    assert (refused[2]["value"], refused[2]["label"]) == ("2,479", "writes would be lost")


@pytest.mark.parametrize(
    ("fields", "summary"),
    [
        (
            {"outcome": "put back"},
            "Nothing was restored: no table was moved, and every server serves as it did.",
        ),
        (
            {"outcome": None},
            "The backup's tables are in place, but not every step after that succeeded.",
        ),
        (
            {"outcome": None, "swapped": None},
            "It stopped after servers were taken out, and before any table was moved.",
        ),
    ],
)
def test_a_restore_that_did_not_go_through_says_how_far_it_came(
    fields: dict[str, Any], summary: str
) -> None:
    record = example.restored()
    record["restore"] |= fields
    assert example.view(record)["summary"] == summary


def test_a_restore_that_could_not_count_says_so() -> None:
    record = example.restore_refused()
    del record["restore"]["planned"]
    view = example.view(record)
    assert view["tiles"][2]["value"] == "not enough data"
    assert view["restore"]["loss"] == "not counted"


def test_a_restores_lanes_lead_back_to_the_old_release() -> None:
    record = example.restored()
    segments = lane_segments(read_record(record), "keystone-1", record["began"], record["ended"])
    assert [(segment.state, segment.label) for segment in segments] == [
        ("new", "13.0.4"), ("drained", ""), ("stopped", ""), ("drained", ""), ("old", "12.0.3"),
    ]  # fmt: skip


def test_a_package_of_the_new_release_is_drawn_as_the_new_one() -> None:
    record = example.restored()
    record["plan"]["target"] = "2:13.0.4-0ubuntu1.2"
    first = lane_segments(read_record(record), "keystone-1", record["began"], record["ended"])[0]
    assert (first.state, first.label) == ("new", "2:13.0.4-0ubuntu1.2")


def test_the_tiles_count_failures_of_all_requests() -> None:
    record = example.failed()
    view = example.view(record)
    load = record["load"]
    assert values(view)[0] == f"{load['failures']} of {load['requests']:,}"
    assert view["tiles"][0]["note"] == f"validate_token {load['failures']}"
    record["load"]["failures_by_name"] = {"a": 9, "b": 5, "c": 2, "d": 1, "e": 1}
    assert example.view(record)["tiles"][0]["note"] == "a 9, b 5, c 2, 2 more"


def test_a_second_baseline_is_named_for_what_it_is() -> None:
    record = example.succeeded()
    assert example.view(record)["tiles"][2]["note"] == "baseline 140 ms"
    record["load"]["measured_again"] = [
        {"session": 2, "start": 0, "end": 20, "p99": 410.0,
         "step": "before contract"}
    ]  # fmt: skip
    assert example.view(record)["tiles"][2]["note"] == (
        "baseline 140 ms; measured again before contract, in mid-upgrade: 410 ms (not the "
        "undisturbed cloud)"
    )


def test_a_budget_that_was_used_is_said() -> None:
    record = example.succeeded()
    record["load"]["failures"] = 2
    assert example.view(record)["summary"] == (
        "The upgrade ended well; 2 failed requests are in the budget."
    )


def test_reasons_are_violated_checks_and_what_steps_said() -> None:
    load, step = example.view(example.failed())["reasons"]
    assert (load["title"], load["limit"], load["times"], load["gates"]) == (
        "load failures", "0", 3, "watch",
    )  # fmt: skip
    assert load["next_step"].startswith(
        "open the page of link Load at task load.start_load, or failures.jsonl"
    )
    assert (step["title"], step["object"]) == ("keystone-2", "step")
    assert step["text"].startswith("keystone-2 could not be taken to 13.0.4")


def test_a_closed_gate_is_not_listed_a_second_time_as_a_step() -> None:
    (reason,) = example.view(example.failed_in_preflight())["reasons"]
    assert (reason["title"], reason["object"]) == ("sudo", "keystone-2")


def verdict(**fields: Any) -> Finding:
    usual = {"ok": True, "check": "load p99", "object": "locust", "measured": "90 ms",
             "limit": "1000 ms", "gate": "watch", "t": 1.0}  # fmt: skip
    return Finding(**{**usual, **fields})


def test_a_check_shows_its_last_value_or_its_first_violation() -> None:
    (kept,) = group_checks([verdict(measured="80 ms"), verdict(measured="95 ms")])
    assert (kept["measured"], kept["times"], kept["ok"]) == ("95 ms", 2, True)
    (violated,) = group_checks(
        [
            verdict(),
            verdict(ok=False, measured="1500 ms", gate="before expand"),
            verdict(ok=False, measured="1300 ms"),
            verdict(),
        ]
    )
    assert (violated["measured"], violated["times"], violated["violated"]) == ("1500 ms", 4, 2)
    assert violated["gates"] == "before expand, watch"


def test_violated_checks_come_first_and_equal_ones_share_a_row() -> None:
    rows = group_checks(
        [
            verdict(check="release", object="a"),
            verdict(check="release", object="b"),
            verdict(check="release", object="c", measured="other"),
            verdict(check="sudo", object="a", ok=False),
        ]
    )
    assert [(row["check"], row["object"]) for row in rows] == [
        ("sudo", "a"), ("release", "a, b"), ("release", "c"),
    ]  # fmt: skip


def test_steps_are_numbered_and_mapped_ones_become_one() -> None:
    rows = example.view(example.succeeded())["steps"]
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    (stage,) = [row for row in rows if row["name"] == "stage"]
    assert stage["subjects"] == example.NODES
    assert stage["took"] == "13.8 s"


def test_a_step_that_failed_or_never_ended_stands_alone() -> None:
    rows = steps_rows(
        [
            StepTaken("stage a", Work.STAGE, 0, 1, StepState.FINISHED),
            StepTaken("stage b", Work.STAGE, 1, 2, StepState.FAILED),
            StepTaken("stage c", Work.STAGE, 2),
        ],
        0.0,
    )
    assert [(row["name"], row["ok"], row["took"]) for row in rows] == [
        ("stage", True, "1.0 s"), ("stage b", False, "1.0 s"), ("stage c", False, "never ended"),
    ]  # fmt: skip


def test_nodes_say_what_they_serve_now() -> None:
    rows = {row["name"]: row for row in example.view(example.failed())["nodes"]}
    assert rows["keystone-1"]["now"] == "serves 13.0.4"
    assert rows["keystone-2"]["now"] == "serves 12.0.3"
    assert rows["keystone-3"]["now"] == "not touched"
    assert rows["keystone-1"]["out_of_rotation"] == "18.2 s"


def test_a_node_that_was_left_out_is_still_counted() -> None:
    record = example.failed()
    history = record["nodes"]["keystone-2"]["history"]
    del history[-1]
    record["nodes"]["keystone-2"].update(since=record["ended"] - 99.0, out_of_rotation=1.0)
    row = node_row("keystone-2", read_record(record))
    assert (row["still_out"], row["out_of_rotation"]) == (True, "100.0 s")
    assert row["now"] == "runs, takes no requests"


def test_a_lane_follows_the_node_through_its_states() -> None:
    record = example.failed()

    def lane(name: str) -> list[tuple[str, str]]:
        segments = lane_segments(read_record(record), name, record["began"], record["ended"])
        assert segments[0].begin == record["began"]
        assert segments[-1].end == record["ended"]
        assert all(a.end == b.begin for a, b in itertools.pairwise(segments))
        return [(segment.state, segment.label) for segment in segments]

    assert lane("keystone-1") == [
        ("old", "12.0.3"), ("drained", ""), ("stopped", ""), ("drained", ""), ("new", "13.0.4"),
    ]  # fmt: skip
    assert lane("keystone-2") == [
        ("old", "12.0.3"), ("drained", ""), ("stopped", ""), ("drained", ""), ("old", "12.0.3"),
    ]  # fmt: skip
    assert lane("keystone-3") == [("old", "12.0.3")]


@pytest.mark.parametrize(
    ("planned", "state"),
    [
        (RunningRelease("13.0.4", running=True), "new"),
        (RunningRelease("13.0.4", running=False), "stopped"),
        (None, "unknown"),
    ],
)
def test_a_lane_begins_with_what_the_plan_found(planned: RunningRelease | None, state: str) -> None:
    record = example.without_load()
    record["nodes"] = {}
    record["plan"] = {**record["plan"], "nodes": {"keystone-1": asdict(NodeReport(planned))}}
    (segment,) = lane_segments(read_record(record), "keystone-1", 0, 9)
    assert segment.state == state


def test_a_variable_that_did_not_come_back_is_no_success() -> None:
    def event(value: str, original: str | None) -> VariableChanged:
        return VariableChanged(name="v", value=value, original=original)

    def row(*after: VariableChanged) -> dict[str, Any]:
        (found,) = variable_rows([event("1", "0"), *after])
        return found

    assert variable_rows([]) == []
    assert (row()["before"], row()["after"], row()["ok"]) == ("0", "never reset", False)
    assert not row(event("1", None))["ok"]
    assert row(event("0", "0"))["ok"]


def test_every_variable_has_a_row_of_its_own() -> None:
    def event(name: str, value: str, original: str) -> VariableChanged:
        return VariableChanged(name=name, value=value, original=original)

    creators, isolation = variable_rows(
        [
            event("creators", "1", "0"),
            event("isolation", "READ-COMMITTED", "REPEATABLE-READ"),
            event("isolation", "REPEATABLE-READ", "REPEATABLE-READ"),
        ]
    )
    assert (creators["name"], creators["during"], creators["ok"]) == ("creators", "1", False)
    assert (isolation["during"], isolation["after"]) == ("READ-COMMITTED", "REPEATABLE-READ")
    assert isolation["ok"]


def test_waits_for_locks_have_a_row_for_each_phase() -> None:
    rows = example.view(example.succeeded())["lock_waits"]
    assert [(row["phase"], row["longest"], row["waiting"]) for row in rows] == [
        ("expand", "1.2 s", "4"), ("migrate", "0.0 s", "0"), ("contract", "0.0 s", "0"),
    ]  # fmt: skip
    assert rows[0]["statements"] == ["ALTER TABLE trust ADD expires_at_int BIGINT"]


def test_waits_that_nobody_watched_are_not_zero() -> None:
    unseen = LocksWatched(phase="expand", polls=0, most_waiting=0, longest_seconds=0.0)
    (row,) = lock_waits_rows([unseen])
    assert (row["longest"], row["waiting"], row["measured"]) == ("never measured", "", False)


def test_versions_that_no_image_tells_apart_share_a_cell_and_a_missing_one_is_a_dash() -> None:
    record = example.restored()
    record["plan"]["state"] = {"expand": "29e87d24a316", "migrate": "", "contract": "e25ffa003242"}
    record["restore"]["backup_versions"] = {"repositories": {}, "revisions": ["aa", "bb"]}
    before, after, backup = example.view(record)["versions"]
    assert [before[phase] for phase in ("expand", "migrate", "contract")] == [
        "29e87d24a316", "–", "e25ffa003242",
    ]  # fmt: skip
    assert (after["when"], after["expand"]) == ("after restore", "24")
    assert (backup["when"], backup["together"]) == ("in the backup", "aa + bb")


def test_lost_writes_are_named() -> None:
    writes = WritesChecked(
        session=1, created=5000, deleted=2, authenticated=2, missing=("u1",), unanswered=("u2",)
    )
    row = writes_row(writes)
    assert row is not None
    assert row["created"] == "5,000"
    assert row["wrong"] == [
        {"what": "missing", "ids": ("u1",)},
        {"what": "without a usable answer within load.profile.timeout", "ids": ("u2",)},
    ]  # fmt: skip


def test_numbers_are_put_into_words() -> None:
    assert [elapsed(s) for s in (7, 232, 3723)] == ["0:07", "3:52", "1:02:03"]
    assert [duration(s) for s in (7, 232, 3723)] == ["7 s", "3 min 52 s", "1 h 2 min"]
    assert [size(n) for n in (12, 7_654_321, 3 << 40)] == ["12 B", "7.3 MiB", "3.0 TiB"]
    assert [milliseconds(v) for v in (None, 1234.5)] == ["not enough data", "1,234 ms"]
    assert (clock(example.BEGAN), moment(None)) == ("10:00:00", "unknown")
    assert moment(example.BEGAN) == "2026-03-01 10:00:00 UTC"


def test_what_was_recovered_and_what_stays_is_told() -> None:
    record = {
        **example.succeeded(),
        "deviations": [{"t": 0.0, "text": "keystone-1 is rolled back to 12.0.3, ready and UP"}],
        "left_behind": ["The schema stays expanded"],
    }
    view = example.view(record)
    assert [each["text"] for each in view["deviations"]] == [
        "keystone-1 is rolled back to 12.0.3, ready and UP"
    ]
    page = example.page(record)
    assert "Worth knowing" in page
    assert "keystone-1 is rolled back to 12.0.3, ready and UP" in page
    assert "The schema stays expanded" in page
    assert "Worth knowing" not in example.page(example.succeeded())
