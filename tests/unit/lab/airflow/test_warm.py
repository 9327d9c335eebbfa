"""Whether a warmed-up process looks for its next task more often, and nothing else sleeps less."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import pytest

from lab.airflow import warm


@pytest.mark.parametrize(("caller", "slept"), [(warm.DAG_TEST, warm.LOOK_SECONDS), ("other", 1.0)])
def test_only_the_look_for_a_task_is_shorter(
    monkeypatch: pytest.MonkeyPatch, caller: str, slept: float
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(warm, "_sleep", asked.append)
    monkeypatch.setattr(time, "sleep", warm.look_more_often)
    exec("import time; time.sleep(1.0)", {"__name__": caller})
    assert asked == [slept]


def test_airflow_looks_for_tasks_there() -> None:
    source = Path(str(importlib.import_module(warm.DAG_TEST).__file__)).read_text()
    assert "time.sleep(1)" in source.partition("No tasks to run")[2][:200]
