"""Which rehearsal DAGs there are is read from the cloud files; a wrong one costs only its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from keystone_rollout.dag_parts.rehearsal_dags import RehearsalDag, rehearsal_dags
from keystone_rollout.hooks.files.cloud_file import DeclaredRehearsal, declared_rehearsals
from tests.stand_ins.cloud_text import GOOD, STAGING


@pytest.fixture
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path))
    return tmp_path


def by_cloud() -> dict[str, RehearsalDag]:
    return {dag.cloud: dag for dag in rehearsal_dags()}


def test_each_cloud_that_declares_a_rehearsal_has_a_dag(clouds: Path) -> None:
    (clouds / "lab.yaml").write_text(GOOD + STAGING)
    (clouds / "pre.yaml").write_text(GOOD + STAGING.replace("0 2 *", "30 4 *"))
    (clouds / "production.yaml").write_text(GOOD)
    made = by_cloud()
    assert {cloud: (dag.dag_id, dag.schedule) for cloud, dag in made.items()} == {
        "lab": ("keystone_rehearsal", "0 2 * * *"),
        "pre": ("keystone_rehearsal_pre", "30 4 * * *"),
    }
    assert made["pre"].description == "reset cloud pre and upgrade it: at 04:30 UTC"
    assert made["pre"].page("the page") == "the page"


def test_a_wrong_file_costs_its_own_schedule_and_says_why(clouds: Path) -> None:
    (clouds / "lab.yaml").write_text(GOOD + STAGING)
    (clouds / "bad.yaml").write_text(GOOD + STAGING + "colour: red\n")
    (clouds / "torn.yaml").write_text(STAGING + "nodes: [\n")
    (clouds / "latin.yaml").write_bytes(b"rehearsal: \xff\n")
    made = by_cloud()
    assert made["lab"].schedule == "0 2 * * *"
    for cloud, words in (
        ("bad", "bad.yaml:28: colour: read unknown key 'colour'"),
        ("torn", "torn.yaml is not YAML"),
        ("latin", "latin.yaml: UnicodeDecodeError"),
    ):
        dag = made[cloud]
        assert dag.schedule is None
        assert "cloud file is wrong" in dag.tags
        assert words in dag.page("the page")
        assert dag.page("the page").startswith("**No schedule: nothing is rehearsed by itself.**")
        assert dag.page("the page").endswith("the page")


def test_an_unmarked_cloud_gets_no_schedule(clouds: Path) -> None:
    (clouds / "lab.yaml").write_text(GOOD + STAGING.replace("staging: true\n", ""))
    (dag,) = rehearsal_dags()
    assert dag.schedule is None
    assert "not marked as staging" in dag.problem


def test_the_default_clouds_dag_is_always_there(clouds: Path) -> None:
    (missing,) = rehearsal_dags()
    assert (missing.dag_id, missing.schedule) == ("keystone_rehearsal", None)
    assert missing.problem == "lab.yaml cannot be read (No such file or directory)"
    (clouds / "lab.yaml").write_text(GOOD)
    assert declared_rehearsals("lab") == [DeclaredRehearsal("lab", None)]
    assert rehearsal_dags()[0].description == "cloud lab declares no rehearsal"


def test_a_file_with_any_name_has_an_id_that_airflow_takes(clouds: Path) -> None:
    (clouds / "my staging.yaml").write_text(GOOD + STAGING)
    assert by_cloud()["my staging"].dag_id == "keystone_rehearsal_my_staging"


def test_a_schedule_without_words_is_shown_as_it_is(clouds: Path) -> None:
    (clouds / "lab.yaml").write_text(GOOD + STAGING.replace("0 2 * * *", '"@daily"'))
    (dag,) = rehearsal_dags()
    assert dag.schedule == "@daily"
    assert dag.description.startswith("reset cloud lab and upgrade it: ")


def test_the_projects_own_files_are_read_in_no_time() -> None:
    rehearsal_dags()
    began = time.process_time()
    rehearsal_dags()
    assert time.process_time() - began < 0.5
