"""What ends a run is tried again while something does not answer, and says how often."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.run.events import Noted, TriedAgain
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.run import GateClosed, RolloutRun
from keystone_rollout.procedures.run.teardown import Teardown
from operators.rollout_operator import RolloutOperator
from tests.stand_ins.set_clock import SetClock

AWAY_SECONDS = 40.0


class Database:
    """A database that is cut off for a while from the first question on."""

    def __init__(self, clock: SetClock, away: float = AWAY_SECONDS) -> None:
        self.clock, self.away, self.variable = clock, away, "1"

    def reset(self) -> str:
        if self.clock.elapsed() < self.away:
            raise OSError("Can't connect to MySQL server on 'db' (115)")
        self.variable = "0"
        return "0"


@pytest.fixture
def run(tmp_path: Path) -> RolloutRun:
    clock = SetClock()
    found: Any = SimpleNamespace(clock=clock, lock=None)
    return RolloutRun(load_cloud("lab"), RunDirectory("run-1", tmp_path, clock), "task", "", found)


def test_an_outage_of_40_seconds_is_outlasted_and_told(run: RolloutRun) -> None:
    database = Database(run.clock)  # type: ignore[arg-type]
    assert Teardown(run).do("reset the variable", database.reset) == "0"
    assert database.variable == "0"
    tried = run.directory.events(TriedAgain)
    assert [event.tries for event in tried] == list(range(1, 9))
    assert {event.reason for event in tried} == {"Can't connect to MySQL server on 'db' (115)"}
    (noted,) = run.directory.events(Noted)
    assert noted.text == "reset the variable succeeded at try 9, after 40 s"


def test_what_succeeds_at_once_is_not_told(run: RolloutRun) -> None:
    assert Teardown(run).do("release", lambda: True) is True
    assert run.directory.events(Noted) == []


def test_it_gives_up_at_the_limit_and_names_it(run: RolloutRun) -> None:
    database = Database(run.clock, away=1e9)  # type: ignore[arg-type]
    with pytest.raises(AirflowFailException) as caught:
        Teardown(run).do("release_lock", database.reset)
    assert run.clock.elapsed() == run.cloud.limits.teardown_seconds == 300
    assert str(caught.value).startswith(
        "release_lock failed: measured 61 tries in 300 s, limit limits.teardown_seconds 300 s. "
        "The last one: Can't connect to MySQL server"
    )
    assert "Next: " in str(caught.value)


@pytest.mark.parametrize("answer", [GateClosed("a write is missing"), AirflowFailException("no")])
def test_an_answer_is_not_asked_for_again(run: RolloutRun, answer: Exception) -> None:
    def act() -> None:
        raise answer

    with pytest.raises(type(answer)):
        Teardown(run).do("check the writes", act)
    assert run.clock.elapsed() == 0


def test_steps_of_one_end_share_its_time(run: RolloutRun) -> None:
    teardown, database = Teardown(run), Database(run.clock, away=1e9)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(AirflowFailException):
            teardown.do("step", database.reset)
    assert run.clock.elapsed() == run.cloud.limits.teardown_seconds


@pytest.mark.parametrize(("teardown", "tries"), [(True, 2), (False, 1)])
def test_only_a_teardown_is_tried_again(
    run: RolloutRun, monkeypatch: pytest.MonkeyPatch, teardown: bool, tries: int
) -> None:
    made = []

    class Step(RolloutOperator):
        def run_step(self, run: RolloutRun, context: Any) -> None:
            made.append(1)
            if len(made) == 1:
                raise OSError("cut off")

    monkeypatch.setattr(RolloutRun, "from_context", lambda context, any_hop: run)
    step = Step(task_id="step")
    step.is_teardown = teardown
    if teardown:
        step.execute({})
    else:
        with pytest.raises(OSError, match="cut off"):
            step.execute({})
    assert len(made) == tries
