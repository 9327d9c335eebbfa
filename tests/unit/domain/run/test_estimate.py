"""How long steps take comes from earlier upgrades: those of the same hop first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keystone_rollout.domain.run.estimate import KINDS, PastRun, estimate, past_run
from keystone_rollout.domain.run.events import Event, Opened, Planned, Work, read_event
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory, past_runs, read_estimate
from tests.stand_ins import record_example

HOP = (12, 13)


def event(t: float, kind: str, **fields: Any) -> Event:
    return read_event({"t": t, "kind": kind, **fields})


WORK = {"stage keystone-1": Work.STAGE, "keystone-1": Work.NODE, "keystone-2": Work.NODE,
        "resume": Work.RESUME}  # fmt: skip


def steps(*rows: tuple[str, float, float, str]) -> list[Event]:
    found = []
    for name, began, ended, state in rows:
        work = WORK.get(name, Work.STEP)
        found.append(event(began, "step", step=name, work=work, state="started"))
        found.append(event(ended, "step", step=name, work=work, state=state))
    return sorted(found, key=lambda each: each.t)


def plan() -> Event:
    return event(0, "plan", cloud="lab", source="12.0.3", target="13.0.4")


def read(*events: Event) -> PastRun:
    run = past_run(list(events))
    assert run is not None
    return run


def test_failed_steps_do_not_count_and_a_repeated_one_took_its_longest() -> None:
    run = read(
        plan(),
        *steps(
            ("expand", 1, 8, "finished"),
            ("expand", 9, 9.5, "finished"),
            ("migrate", 10, 300, "failed"),
            ("resume", 301, 330, "finished"),
            ("stage keystone-1", 20, 23, "finished"),
            ("keystone-1", 30, 50, "finished"),
            ("keystone-2", 60, 70, "finished"),
        ),
    )
    assert run.steps == {"expand": (7,), KINDS[Work.STAGE]: (3,), KINDS[Work.NODE]: (20, 10)}
    assert (run.cloud, run.hop, run.total) == ("lab", HOP, None)


def test_the_whole_run_is_the_time_in_which_some_step_ran() -> None:
    run = read(
        plan(),
        *steps(
            ("start_load", 0, 10, "finished"),
            ("expand", 5, 20, "finished"),
            ("contract", 3620, 3630, "finished"),
            ("upgrade_succeeded", 3631, 3632, "finished"),
        ),
    )
    assert run.total == 31


def test_a_node_that_came_back_was_out_of_rotation() -> None:
    def note(t: float, node: str, state: str) -> Event:
        return event(t, "node", node=node, state=state, text="")

    run = read(
        plan(),
        note(1, "keystone-1", "drain"), note(5, "keystone-1", "maint"),
        note(15, "keystone-1", "up"), note(16, "keystone-1", "done"),
        note(20, "keystone-2", "drain"),
    )  # fmt: skip
    assert run.out == (14,)


def test_other_runs_are_no_upgrades() -> None:
    assert past_run([event(0, "dag", dag="keystone_rollback"), plan()]) is None
    assert past_run([event(0, "dag", dag="keystone_upgrade")]) is None


def test_the_same_cloud_and_hop_come_first_and_other_hops_are_marked() -> None:
    def run(cloud: str, hop: tuple[int, int], total: float | None, **times: float) -> PastRun:
        return PastRun(cloud, hop, {key: (value,) for key, value in times.items()}, (), total)

    found = estimate(
        [
            run("lab", HOP, 100, plan=2, expand=4),
            run("lab", HOP, None, plan=3, expand=10),
            run("lab", (13, 14), 900, expand=99, token_flush=5),
            run("other", HOP, 1, expand=1, doctor=1),
        ],
        "lab",
        HOP,
    )
    assert (found["runs"], found["runs_of_other_hops"]) == (2, 1)
    assert found["steps"] == [
        {"step": "plan", "median": 2.5, "worst": 3, "runs": 2, "other_hop": False},
        {"step": "expand", "median": 7.0, "worst": 10, "runs": 2, "other_hop": False},
        {"step": "token_flush", "median": 5, "worst": 5, "runs": 1, "other_hop": True},
    ]
    assert found["total"] == {"median": 100, "worst": 100, "runs": 1, "other_hop": False}
    assert found["out_of_rotation"] is None


def test_a_real_record_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    story = record_example.Story()
    story.record(Planned(cloud="lab", source="12.0.3", target="13.0.4"))
    with story.step("expand", 4.0):
        pass
    directory = RunDirectory("good")
    opened = json.dumps({"t": 1, **Opened().to_dict()}) + "\n"
    (directory.path / "events.jsonl").write_text(
        opened + "".join(json.dumps(each.to_dict()) + "\n" for each in story.events)
    )
    (RunDirectory("torn").path / "events.jsonl").write_text('{"t": 1, "kind": "pl')
    plan = '{"t": 1, "kind": "plan", "cloud": "lab", "source": "x", "target": "y", "nodes": {}}\n'
    (RunDirectory("foreign").path / "events.jsonl").write_text(opened + plan)
    RunDirectory("empty")
    runs, unreadable = past_runs()
    assert ([run.steps for run in runs], unreadable) == ([{"expand": (4.0,)}], ["foreign", "torn"])
    part = read_estimate(load_cloud("lab", "12.0.3", "13.0.4"))
    assert part["steps"][0]["median"] == 4.0
    assert part["unreadable"] == ["foreign", "torn"]
