"""A cleared task takes up again exactly what a teardown ended, and says so in the record."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import pytest

from keystone_rollout.domain.run.events import (
    BaselineMeasured,
    Judged,
    LoadStarted,
    LoadStopped,
    LockChanged,
    LockState,
    Resumed,
    StepChanged,
    StepState,
    VariableChanged,
    Work,
)
from keystone_rollout.domain.run.record import build_record
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.end import end_safely, was_resumed
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.report import write_run_report
from keystone_rollout.procedures.run.resume import proceed, resume
from keystone_rollout.procedures.run.run import GateClosed, RolloutRun
from keystone_rollout.procedures.run.witnesses import LoadWitness, run_witnesses
from operators.load_control import JudgeLoadOperator, MeasureBaselineOperator
from operators.rollout_operator import RolloutOperator
from tests.stand_ins.in_memory_run import (
    RUN,
    InMemorySystems,
    begin_all,
    in_context,
    in_memory_run,
    tear_down,
)

CREATORS = "log_bin_trust_function_creators"
ISOLATION = "transaction_isolation"
HEARTBEAT = "update_lock_heartbeat"
ALL = ["upgrade lock", CREATORS, ISOLATION, "load"]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[RolloutRun, InMemorySystems]:
    run, systems = in_memory_run(monkeypatch, tmp_path)
    begin_all(run)
    systems.writes.clear()
    return run, systems


@pytest.fixture
def ended(lab: tuple[RolloutRun, InMemorySystems]) -> tuple[RolloutRun, InMemorySystems]:
    run, systems = lab
    tear_down(run)
    systems.writes.clear()
    return run, systems


def taken_up(run: RolloutRun) -> list[tuple[str, list[str]]]:
    return [(event.step, list(event.what)) for event in run.directory.events(Resumed)]


def test_a_first_run_resumes_and_records_nothing(lab: tuple[RolloutRun, InMemorySystems]) -> None:
    run, systems = lab
    proceed(run, "before expand")
    assert systems.writes == [HEARTBEAT]
    assert taken_up(run) == []
    assert run.directory.events(StepChanged) == []
    assert len(run.directory.events(BaselineMeasured)) == 1


def test_what_teardowns_ended_is_taken_up_again_before_the_gate(
    ended: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = ended
    proceed(run, "before contract")
    assert systems.holder == RUN
    assert systems.variables == {CREATORS: "1", ISOLATION: "READ-COMMITTED"}
    assert systems.saved == {CREATORS: "0", ISOLATION: "REPEATABLE-READ"}
    assert systems.running == {"1": False, "2": True}
    assert taken_up(run) == [("before contract", ALL)]
    assert systems.writes[0] == "insert_upgrade_lock"
    states = [event.state for event in run.directory.events(LockChanged)]
    assert states == [LockState.TAKEN, LockState.RELEASED, LockState.TAKEN]
    steps = [(each.step, each.work, each.state) for each in run.directory.events(StepChanged)]
    assert steps == [("resume", Work.RESUME, StepState.STARTED),
                     ("resume", Work.RESUME, StepState.FINISHED)]  # fmt: skip
    assert was_resumed(run)
    # The next step finds all there, and takes up nothing.
    proceed(run, "before return")
    assert len(taken_up(run)) == 1


def test_the_second_baseline_is_called_what_it_is(
    ended: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, _systems = ended
    proceed(run, "before contract")
    first, second = run.directory.events(BaselineMeasured)
    assert (first.mid_upgrade, first.step) == (False, "")
    assert (second.mid_upgrade, second.step, second.session) == (True, "before contract", 2)
    record = build_record(RUN, run.directory.all_events(), [], "failed")
    assert record.load.baseline_p99 == first.p99
    assert list(record.load.measured_again) == [second]
    (text,) = [each.text for each in record.deviations]
    assert text.startswith("resumed before contract: what a teardown had ended was taken up again")
    assert CREATORS in text


@pytest.mark.parametrize(
    ("milliseconds", "failing", "checks"),
    [
        (100.0, 1, ["load baseline, measured again"]),
        (9000.0, 0, ["load p99, measured again"]),
    ],
)
def test_a_bad_second_baseline_closes_and_stays_so_for_whoever_comes_next(
    ended: tuple[RolloutRun, InMemorySystems], milliseconds: float, failing: int, checks: list[str]
) -> None:
    run, systems = ended
    systems.answer(milliseconds, failing)
    with pytest.raises(GateClosed, match="gate 'resumed before contract' is closed"):
        proceed(run, "before contract")
    event = run.directory.last(Judged)
    assert event is not None
    assert [verdict.check for verdict in event.verdicts if not verdict.ok] == checks
    assert all("nothing has been changed" not in verdict.consequence for verdict in event.verdicts)
    assert run.directory.events(StepChanged)[-1].gated
    assert was_resumed(run)
    page = write_run_report(run.directory, "failed", ["contraction.contract"]).read_text()
    assert f"</svg>{checks[0]} <small>locust</small></h3>" in page
    assert "the cloud does not serve the load in mid-upgrade" in page
    assert "measured again before contract, in mid-upgrade" in page
    systems.answer(100.0)
    systems.clock.sleep(100)
    with pytest.raises(GateClosed, match="measured again"):
        proceed(run, "before staging keystone-2")
    assert len(taken_up(run)) == 1


def test_a_slow_second_baseline_is_compared_with_the_undisturbed_cloud(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    tear_down(run)
    systems.answer(2900.0)
    proceed(run, "before migrate")
    tear_down(run)
    systems.answer(9000.0)
    # 9000 ms is less than five times 2900 ms, but that is no undisturbed cloud.
    with pytest.raises(GateClosed, match="baseline 100 ms"):
        proceed(run, "before contract")


def test_later_windows_are_held_against_the_undisturbed_cloud_too(
    ended: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = ended
    systems.answer(2900.0)
    proceed(run, "before migrate")
    systems.answer(9000.0)
    systems.clock.sleep(60)
    with pytest.raises(GateClosed, match=r"load p99 .*baseline 100 ms"):
        proceed(run, "before contract")


def test_a_baseline_task_that_is_cleared_in_mid_upgrade_does_not_measure_the_undisturbed_cloud(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    context = in_context()
    systems.answer(9000.0)
    with pytest.raises(GateClosed, match=r"load p99, measured again .*baseline 100 ms"):
        MeasureBaselineOperator(task_id="measure_baseline").run_step(run, context)
    assert [each.step for each in run.directory.events(BaselineMeasured)] == [
        "", "at measure_baseline",
    ]  # fmt: skip


def test_a_first_baseline_that_was_refused_is_measured_as_the_undisturbed_cloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, systems = in_memory_run(monkeypatch, tmp_path)
    context = in_context()
    LoadWitness(run).begin()
    systems.answer(100.0, 1)
    with pytest.raises(GateClosed, match="nothing has been changed yet"):
        MeasureBaselineOperator(task_id="measure_baseline").run_step(run, context)
    systems.answer(100.0)
    MeasureBaselineOperator(task_id="measure_baseline").run_step(run, context)
    assert [each.step for each in run.directory.events(BaselineMeasured)] == ["", ""]


@pytest.mark.parametrize("torn_down", [False, True])
def test_a_load_that_died_is_not_started_again(
    lab: tuple[RolloutRun, InMemorySystems], torn_down: bool
) -> None:
    run, systems = lab
    systems.die()
    systems.clock.sleep(30)
    if torn_down:
        tear_down(run)
    with pytest.raises(GateClosed, match="load process"):
        proceed(run, "before contract")
    assert len(run.directory.events(LoadStarted)) == 1
    assert systems.running == {"1": False}
    assert taken_up(run) == ([("before contract", ALL[:3])] if torn_down else [])


def test_what_was_never_begun_is_not_begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run, systems = in_memory_run(monkeypatch, tmp_path, dag="keystone_rollback")
    LoadWitness(run).begin()
    require(run, "baseline", LoadSession(run).measure_baseline())
    tear_down(run)
    systems.writes.clear()
    resume(run, "before keystone-3", run_witnesses(run))
    assert taken_up(run) == [("before keystone-3", ["upgrade lock", "load"])]
    assert run.directory.events(VariableChanged) == []
    assert systems.saved == {}


def test_only_what_was_ended_is_taken_up(lab: tuple[RolloutRun, InMemorySystems]) -> None:
    run, systems = lab
    run_witnesses(run)[0].end()
    systems.writes.clear()
    proceed(run, "before expand")
    assert taken_up(run) == [("before expand", [CREATORS])]
    assert systems.writes == [HEARTBEAT, "insert_saved_variable", f"SET GLOBAL {CREATORS}"]


@pytest.mark.parametrize("released", [True, False])
def test_nothing_is_begun_without_the_lock(
    lab: tuple[RolloutRun, InMemorySystems], released: bool
) -> None:
    run, systems = lab
    if not released:
        systems.holder = "run-2"  # broken from this run, so its teardown has nothing to give back
    tear_down(run)
    systems.holder = "run-2"
    systems.writes.clear()
    with pytest.raises(GateClosed, match="held by run run-2"):
        proceed(run, "before contract")
    assert systems.writes == []
    assert taken_up(run) == []


def test_a_lost_lock_is_not_taken_again(ended: tuple[RolloutRun, InMemorySystems]) -> None:
    run, systems = ended
    proceed(run, "before contract")
    systems.holder = None
    systems.writes.clear()
    with pytest.raises(GateClosed, match="somebody else removed it"):
        proceed(run, "before contract")
    assert "insert_upgrade_lock" not in systems.writes


def test_a_lost_lock_is_not_taken_to_begin_what_was_ended(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    run_witnesses(run)[0].end()
    systems.holder = None
    systems.writes.clear()
    with pytest.raises(GateClosed, match="somebody else removed it"):
        proceed(run, "before expand")
    assert systems.writes == []


class Swap(RolloutOperator):
    needs_lock = True

    def run_step(self, run: RolloutRun, context: Any) -> None:
        assert run.lock.holder()


def test_a_step_that_stands_on_the_lock_alone_takes_only_that(
    ended: tuple[RolloutRun, InMemorySystems], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, systems = ended
    monkeypatch.setattr(RolloutRun, "from_context", lambda *_, **__: run)
    Swap(task_id="swap_schemas").execute({})
    assert systems.writes == ["insert_upgrade_lock", HEARTBEAT]
    assert taken_up(run) == [("before swap_schemas", ["upgrade lock"])]


def test_the_end_judges_the_load_while_teardowns_restore_the_variables(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    for witness in run_witnesses(run)[:2]:
        witness.end()
    systems.clock.sleep(60)
    systems.writes.clear()
    JudgeLoadOperator(task_id="judge_load").run_step(run, in_context())
    assert systems.writes == [HEARTBEAT]
    assert systems.variables[CREATORS] == "0"


def test_what_was_taken_up_is_ended_even_if_the_rest_could_not_be(
    ended: tuple[RolloutRun, InMemorySystems], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, systems = ended
    systems.refuses = "start load 2"
    with pytest.raises(RuntimeError, match="no start load 2 here"):
        proceed(run, "before contract")
    assert was_resumed(run)
    monkeypatch.setattr("keystone_rollout.procedures.run.end.check_writes", lambda run: [])
    monkeypatch.setattr("keystone_rollout.procedures.run.end.return_nodes", lambda run: [])
    end_safely(run, "failed", ["contraction.contract"])
    assert (systems.holder, systems.saved) == (None, {})
    assert systems.variables == {CREATORS: "0", ISOLATION: "REPEATABLE-READ"}
    # A load that could not be started has not died: the next attempt starts it.
    systems.refuses = None
    proceed(run, "before contract")
    assert systems.running["3"]
    assert taken_up(run)[-1] == ("before contract", ALL)


def test_the_safe_end_leaves_alone_what_another_run_holds(
    ended: tuple[RolloutRun, InMemorySystems], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, systems = ended
    brought_back: list[RolloutRun] = []
    monkeypatch.setattr("keystone_rollout.procedures.run.end.check_writes", lambda run: [])
    monkeypatch.setattr(
        "keystone_rollout.procedures.run.end.return_nodes", lambda run: brought_back.append(run)
    )
    systems.holder, systems.saved = "run-2", {CREATORS: "0"}
    systems.variables[CREATORS] = "1"
    with pytest.raises(GateClosed):
        proceed(run, "before contract")
    end_safely(run, "failed", ["contraction.contract"])
    assert systems.writes == []
    assert systems.variables[CREATORS] == "1"
    assert (systems.holder, brought_back) == ("run-2", [])


def test_a_load_that_is_stopped_on_purpose_has_not_died(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, _systems = lab
    assert LoadWitness(run).end() == "load: stopped"
    assert LoadWitness(run).end() == "load: no session was running"
    assert [event.died for event in run.directory.events(LoadStopped)] == [False]
    assert LoadWitness(run).ended()


def test_one_task_resumes_at_a_time(
    ended: tuple[RolloutRun, InMemorySystems], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _systems = ended

    def try_to_come_in() -> None:
        with (run.directory.path / "alone.lock").open("a") as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def begin(witness: LoadWitness, step: str) -> list[Verdict]:
        with pytest.raises(BlockingIOError):
            try_to_come_in()
        return []

    monkeypatch.setattr(LoadWitness, "begin", begin)
    resume(run, "before contract", [LoadWitness(run)])
    assert taken_up(run) == [("before contract", ["upgrade lock", "load"])]
    try_to_come_in()
