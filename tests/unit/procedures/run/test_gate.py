"""A gate looks and judges, and does nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from keystone_rollout.domain.run.events import (
    Judged,
    LoadStarted,
    LockChanged,
    LockState,
    VariableChanged,
)
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.procedures.run.gate import open_gate
from keystone_rollout.procedures.run.run import GateClosed, RolloutRun
from keystone_rollout.procedures.run.witnesses import run_witnesses
from tests.stand_ins.in_memory_run import InMemorySystems, begin_all, in_memory_run, tear_down

CREATORS = "log_bin_trust_function_creators"
ISOLATION = "transaction_isolation"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[RolloutRun, InMemorySystems]:
    run, systems = in_memory_run(monkeypatch, tmp_path)
    begin_all(run)
    systems.writes.clear()
    return run, systems


def gate(run: RolloutRun) -> list[Verdict]:
    """Open a gate and return its verdicts, whether it is closed or not."""
    with suppress(GateClosed):
        open_gate(run, "before expand", run_witnesses(run))
    event = run.directory.last(Judged)
    assert event is not None
    return list(event.verdicts)


def violated(verdicts: Iterable[Verdict]) -> set[str]:
    return {verdict.check for verdict in verdicts if not verdict.ok}


def unchanged(run: RolloutRun, systems: InMemorySystems, slept: int) -> bool:
    """Tell whether a gate wrote, started and recorded nothing but its verdicts."""
    begun = run.directory.events(LoadStarted), run.directory.events(VariableChanged)
    clock = systems.clock
    return not systems.writes and len(begun[0]) == 1 and len(clock.waits) == slept


def test_a_good_run_passes_and_lock_variables_and_load_are_all_judged(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    slept = len(systems.clock.waits)
    verdicts = gate(run)
    assert violated(verdicts) == set()
    assert {"upgrade lock", CREATORS, ISOLATION, "load process", "load p99"} <= {
        verdict.check for verdict in verdicts
    }
    assert unchanged(run, systems, slept)


def test_what_teardowns_ended_closes_the_gate_which_takes_nothing_and_says_what_to_do(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    tear_down(run)
    systems.writes.clear()
    slept = len(systems.clock.waits)
    verdicts = gate(run)
    assert violated(verdicts) == {"upgrade lock", CREATORS, ISOLATION, "load process"}
    for verdict in verdicts:
        assert "teardown" in verdict.measured
        assert verdict.next_step.startswith("clear this task: it takes up again")
    assert unchanged(run, systems, slept)


def test_a_lock_that_somebody_else_has_or_removed_is_not_taken(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    for holder, measured in ((None, "somebody else removed it"), ("run-2", "held by run run-2")):
        systems.holder = holder
        first = gate(run)[0]
        assert not first.ok
        assert measured in first.measured
        assert "find out who works on this cloud" in first.next_step
        assert (systems.holder, systems.writes) == (holder, [])


def test_a_variable_that_somebody_set_back_is_judged_and_left(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    systems.variables[CREATORS] = "0"
    assert violated(gate(run)) == {CREATORS}
    assert systems.variables[CREATORS] == "0"
    assert systems.writes == []


def test_a_variable_that_no_task_has_set_is_a_violation_even_if_its_value_is_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, systems = in_memory_run(monkeypatch, tmp_path)
    begin_all(run)
    del systems.saved[CREATORS]
    events = run.directory.path / "events.jsonl"
    lines = [line for line in events.read_text().splitlines() if CREATORS not in line]
    events.write_text("\n".join(lines) + "\n")
    (verdict,) = [each for each in gate(run) if each.check == CREATORS]
    assert verdict.measured == "1, not set in this run"
    assert verdict.next_step == "clear the task that sets it, then this one"


def test_a_rollback_holds_no_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run, _systems = in_memory_run(monkeypatch, tmp_path, dag="keystone_rollback")
    variables = run_witnesses(run)[:2]
    assert [witness.judge() for witness in variables] == [[], []]
    assert not any(witness.ended() for witness in variables)


def test_a_variable_that_this_hop_does_not_need_is_not_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, systems = in_memory_run(monkeypatch, tmp_path, read_committed="never")
    isolation = run_witnesses(run)[1]
    assert isolation.name == ISOLATION
    isolation.begin()
    assert isolation.judge() == []
    assert not isolation.ended()
    assert systems.writes == []


def test_a_step_that_stands_on_the_lock_alone_asks_nobody_else(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    systems.die()
    open_gate(run, "before swap_schemas", [])
    event = run.directory.last(Judged)
    assert event is not None
    assert [(verdict.check, verdict.ok) for verdict in event.verdicts] == [("upgrade lock", True)]


def test_a_lock_that_was_taken_again_is_not_called_released(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    tear_down(run)
    run.directory.record(LockChanged(state=LockState.TAKEN))
    systems.holder = None
    assert "somebody else removed it" in gate(run)[0].measured
