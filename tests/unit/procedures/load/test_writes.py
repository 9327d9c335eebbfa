"""What the load made is removed after a clean check, unless the cloud file wants it kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_rollout.domain.load.credentials import derive_password
from keystone_rollout.domain.run.events import LoadStarted
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.load.writes import check_writes
from keystone_rollout.procedures.run.run import RolloutRun
from tests.stand_ins.in_memory_keystone import ADMIN_PASSWORD, InMemoryKeystone, serve

RUN = "manual__2026-03-01T10:00:00+00:00"


@pytest.fixture
def keystone(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryKeystone]:
    with serve() as server:
        connection = {
            "conn_type": "generic",
            "host": server.auth_url,
            "login": "admin",
            "password": ADMIN_PASSWORD,
        }
        monkeypatch.setenv("AIRFLOW_CONN_LAB_KEYSTONE_API", json.dumps(connection))
        yield server


def run_with_one_user(keystone: InMemoryKeystone, folder: Path, *, clean_up: bool) -> RolloutRun:
    """Make a run whose load created one user, which is there."""
    cloud = load_cloud("lab")
    load = cloud.load.model_copy(update={"clean_up": clean_up})
    run = RolloutRun(cloud.model_copy(update={"load": load}), RunDirectory(RUN, folder), "check")
    run.directory.record(LoadStarted(session=1))
    name = f"{load.profile.for_run(f'{run.directory.identity().token}/1').name_prefix}-ab12cd-1"
    keystone.state.users["u1"] = {
        "name": name, "password": derive_password(ADMIN_PASSWORD, name, 0)
    }  # fmt: skip
    event = {"t": 1, "event": "created", "id": "u1", "name": name, "generation": 0}
    (run.directory.load / "1").mkdir(parents=True)
    (run.directory.load / "1" / "ledger.jsonl").write_text(json.dumps(event) + "\n")
    return run


@pytest.mark.parametrize(("clean_up", "left"), [(True, ["admin"]), (False, ["admin", "u1"])])
def test_the_loads_users_go_or_stay_as_the_cloud_file_says(
    keystone: InMemoryKeystone, tmp_path: Path, clean_up: bool, left: list[str]
) -> None:
    verdicts = check_writes(run_with_one_user(keystone, tmp_path, clean_up=clean_up))
    assert [verdict.ok for verdict in verdicts] == [True]
    assert sorted(keystone.state.users) == left


def test_a_lost_write_keeps_the_loads_users_anyway(
    keystone: InMemoryKeystone, tmp_path: Path
) -> None:
    run = run_with_one_user(keystone, tmp_path, clean_up=True)
    keystone.state.users["u1"]["password"] = "another"
    verdicts = check_writes(run)
    assert [verdict.ok for verdict in verdicts] == [False]
    assert "u1" in keystone.state.users


def test_a_check_that_could_not_be_recorded_can_be_made_again(
    keystone: InMemoryKeystone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with_one_user(keystone, tmp_path, clean_up=True)
    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "record", lambda *_: False)
        assert [verdict.ok for verdict in check_writes(run)] == [True]
    assert [verdict.ok for verdict in check_writes(run)] == [True]
    assert sorted(keystone.state.users) == ["admin"]
