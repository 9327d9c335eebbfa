"""Runs of one id are different runs, and a cleared task finds its own run's folder again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keystone_rollout.domain.run.events import Noted
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.hooks.files.run_identity import (
    IDENTITY,
    RunNotIdentified,
    claim,
    run_folder,
)
from keystone_rollout.hooks.files.run_pages import run_page, run_page_address

RUN = "scheduled__2026-03-01T02:00:00+00:00"
NAME = "scheduled__2026-03-01T02_00_00_00_00"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_HOME", "/srv/airflow")
    return tmp_path


def test_a_cleared_task_finds_the_token_again_also_on_another_host(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = RunDirectory(RUN, dag="keystone_upgrade")
    monkeypatch.setattr("socket.gethostname", lambda: "another-worker")
    again = RunDirectory(RUN, dag="keystone_upgrade")
    assert again.path == first.path == runs / NAME
    assert again.identity() == first.identity()
    assert len(first.identity().token) == 32
    assert (first.identity().run_id, first.identity().dag) == (RUN, "keystone_upgrade")


def test_two_dags_and_two_airflows_with_one_run_id_share_nothing(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = RunDirectory(RUN, dag="keystone_upgrade")
    plan = RunDirectory(RUN, dag="keystone_plan")
    monkeypatch.setenv("AIRFLOW_HOME", "/srv/other")
    other = RunDirectory(RUN, dag="keystone_upgrade")
    found = [upgrade, plan, other]
    assert len({each.path for each in found}) == 3
    assert len({each.identity().token for each in found}) == 3
    assert all(each.path.name.startswith(NAME) for each in found)
    assert [RunDirectory(RUN, dag="keystone_plan").path != plan.path] == [True]
    monkeypatch.setenv("AIRFLOW_HOME", "/srv/airflow")
    assert RunDirectory(RUN, dag="keystone_plan").path == plan.path
    assert RunDirectory(RUN, dag="keystone_upgrade").path == upgrade.path


def test_two_ids_that_make_one_name_share_nothing(runs: Path) -> None:
    one = RunDirectory("night+1", dag="keystone_upgrade")
    two = RunDirectory("night_1", dag="keystone_upgrade")
    assert one.path != two.path


def test_a_second_folder_has_a_name_that_a_file_system_takes(runs: Path) -> None:
    long = "x" * 250
    assert RunDirectory(long, dag="keystone_upgrade").record(Noted(text="one"))
    assert RunDirectory(long, dag="keystone_plan").record(Noted(text="two"))


def test_of_many_at_once_each_gets_a_token_of_its_own(runs: Path) -> None:
    names = [f"dag_{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda dag: RunDirectory(RUN, dag=dag), names))
    assert len({each.identity().token for each in found}) == 8
    assert [each.identity().dag for each in found] == names
    assert not list(runs.glob("*/*.part"))


def test_a_run_that_was_overtaken_takes_a_folder_of_its_own(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[Path] = []

    def overtaken(folder: Path, run_id: str, dag: str) -> Path:
        chosen.append(run_folder(folder, run_id, dag))
        if len(chosen) == 1:
            chosen[0].mkdir()
            claim(chosen[0], run_id, "keystone_plan")
        return chosen[-1]

    monkeypatch.setattr("keystone_rollout.hooks.files.run_directory.run_folder", overtaken)
    directory = RunDirectory(RUN, dag="keystone_upgrade")
    assert (chosen[0], directory.path) == (runs / NAME, chosen[-1])
    assert directory.path != chosen[0]
    assert directory.identity().dag == "keystone_upgrade"


def test_a_run_is_found_by_its_token_and_not_by_its_id_alone(runs: Path) -> None:
    upgrade = RunDirectory(RUN, dag="keystone_upgrade")
    plan = RunDirectory(RUN, dag="keystone_plan")
    for each in (upgrade, plan):
        found = RunDirectory.existing(RUN, each.identity().token)
        assert found is not None
        assert (found.path, found.run_id) == (each.path, RUN)
    assert RunDirectory.existing(RUN, "of another machine") is None
    assert RunDirectory.existing(RUN) is None, "an earlier version's run has no token"


def test_a_folder_of_an_earlier_version_is_read_and_taken_over(runs: Path) -> None:
    before = RunDirectory(RUN)
    before.record(Noted(text="before"))
    assert not (before.path / IDENTITY).exists()
    found = RunDirectory.existing(RUN)
    assert found is not None
    assert [event.text for event in found.events(Noted)] == ["before"]
    assert RunDirectory(RUN, dag="keystone_upgrade").path == before.path


def test_a_damaged_identity_is_nobodys(runs: Path) -> None:
    first = RunDirectory(RUN, dag="keystone_upgrade")
    (first.path / IDENTITY).write_text('{"run_id": ')
    again = RunDirectory(RUN, dag="keystone_upgrade")
    assert again.path != first.path
    assert again.identity().token


def test_a_run_that_cannot_be_identified_says_so_and_is_made_all_the_same(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    directory = RunDirectory(RUN, dag="keystone_upgrade")
    with pytest.raises(RunNotIdentified, match=r"No space left on device.*Next: make"):
        directory.identity()
    assert not (directory.path / IDENTITY).exists()


def test_the_faster_of_two_has_the_folder(runs: Path) -> None:
    folder = runs / "run"
    folder.mkdir()
    first = claim(folder, "run", "keystone_upgrade")
    assert claim(folder, "run", "keystone_plan") == first
    assert json.loads((folder / IDENTITY).read_text())["token"] == first.token


def test_pages_are_linked_to_the_run_of_their_dag(runs: Path) -> None:
    for dag in ("keystone_upgrade", "keystone_plan"):
        RunDirectory(RUN, dag=dag).write_text("report.html", dag)
        folder, page = run_page_address(RUN, "report.html", dag).split("/")[-2:]
        found = run_page(folder, page)
        assert found is not None
        assert found.read_text() == dag
        assert found.parent == run_folder(runs, RUN, dag)
