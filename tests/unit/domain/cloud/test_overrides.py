"""What a run sets otherwise than its cloud file takes effect, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keystone_rollout.domain.cloud.overrides import OVERRIDES, deviations, given_overrides, override
from keystone_rollout.domain.run.events import Noted
from keystone_rollout.hooks.files.cloud_file import CloudFileError, load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.run import RolloutRun

GIVEN = {
    "load_rate": 12.5,
    "load_users": 7,
    "failure_budget": 3,
    "p99_multiple": 2.5,
    "p99_floor_ms": 800,
}


def run_of(params: dict[str, Any]) -> RolloutRun:
    return RolloutRun.from_context(
        {
            "params": params,
            "ti": SimpleNamespace(task_id="plan", dag_id="keystone_upgrade"),
            "run_id": "run-1",
        }
    )


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    return tmp_path


def test_each_of_them_takes_effect_in_the_runs_cloud() -> None:
    assert set(GIVEN) == set(OVERRIDES)
    cloud = run_of({"cloud": "lab", **GIVEN}).cloud
    assert {name: each.value_in(cloud) for name, each in OVERRIDES.items()} == GIVEN
    # Everything beside them is the file's.
    assert cloud.load.profile.weights == load_cloud("lab").load.profile.weights
    assert cloud.limits.node.min_ready_servers == 2


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_field_leaves_the_cloud_files_value(empty: object) -> None:
    assert given_overrides(dict.fromkeys(OVERRIDES, empty)) == {}
    assert run_of({"cloud": "lab", **dict.fromkeys(OVERRIDES, empty)}).cloud == load_cloud("lab")


def test_an_emptied_release_is_the_cloud_files_and_an_emptied_lock_nobodys() -> None:
    run = run_of({"cloud": "lab", "source": None, "target": None, "break_lock": None})
    assert run.cloud == load_cloud("lab")
    assert run.lock.break_run == ""


def test_zero_is_a_value_and_not_an_empty_field() -> None:
    assert given_overrides({"failure_budget": 0}) == {"failure_budget": 0}


def test_a_wrong_value_is_refused_by_the_model_and_the_param_is_named() -> None:
    with pytest.raises(CloudFileError) as caught:
        run_of({"cloud": "lab", "load_rate": 0, "failure_budget": "many"})
    assert str(caught.value).split("\n- ")[1:] == [
        "param load_rate of this run: Input should be greater than 0 (read 0)",
        "param failure_budget of this run: Input should be a valid integer, unable to parse "
        "string as an integer (read 'many')",
    ]


def test_a_broken_section_is_still_the_files_fault() -> None:
    assert override({"load": 5}, {"load_rate": 1}) == {"load": 5}


def test_the_cloud_files_data_itself_stays_as_it_is() -> None:
    data: dict[str, Any] = {"load": {"profile": {"rate": 60, "users": 2}}}
    assert override(data, {"load_rate": 1}) == {"load": {"profile": {"rate": 1, "users": 2}}}
    assert data == {"load": {"profile": {"rate": 60, "users": 2}}}


def test_deviations_are_said_with_both_values_and_only_where_they_differ() -> None:
    run = load_cloud("lab", overrides={"load_rate": 12.5, "load_users": 20})
    assert deviations(load_cloud("lab"), run) == [
        "param load_rate: load.profile.rate is 12.5 in this run, 60 in the cloud file"
    ]


def test_they_are_recorded_once_however_often_the_task_is_cleared() -> None:
    params = {"cloud": "lab", "source": "12.0.3", "target": "13.0.4", "load_users": 3}
    for _ in range(2):
        run_of(params).record_deviations(params)
    assert [event.text for event in RunDirectory("run-1").events(Noted)] == [
        "param load_users: load.profile.users is 3 in this run, 20 in the cloud file"
    ]
