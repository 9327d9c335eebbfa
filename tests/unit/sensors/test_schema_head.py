"""The sensor asks the table in which the hop ends, and is not fooled by a row beside the head."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.run.events import Planned
from keystone_rollout.domain.schema.migrations import head_question
from keystone_rollout.domain.schema.target import PhaseTarget
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.files.run_directory import RunDirectory
from sensors.schema_head import SchemaHeadSensor
from tests.stand_ins.image_listings import image_of


def test_a_numbered_repository_is_asked_for_its_head() -> None:
    question = head_question(Phase.MIGRATE, image_of("13.0.4"))
    assert question is not None
    assert question.parameters == {"repository": "keystone_data_migrate", "head": 44}
    assert "FROM migrate_version" in sql(question.name)


def test_a_branch_is_asked_for_its_head_with_the_other_branch_apart() -> None:
    question = head_question(Phase.EXPAND, image_of("25.0.0"))
    assert question is not None
    assert question.parameters == {
        "head": "47147121", "others": "e25ffa003242,99de3849d860,c88cdce8f248",
    }  # fmt: skip
    assert "FROM alembic_version" in sql(question.name)


def copy_of(cloud: Cloud) -> PhaseTarget:
    return PhaseTarget("a_copy", "copy_owner", "copy_reader", "copy_owner")


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, ("lab_database_reader", "keystone")),
        ({"target": copy_of}, ("copy_reader", "a_copy")),
    ],
)
def test_the_schema_of_the_target_is_asked_with_its_reader(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    asked: tuple[str, str],
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    for name in ("lab_database_reader", "copy_reader"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", "mysql://a:b@127.0.0.1/elsewhere")
    RunDirectory("run-1", tmp_path).record(Planned(migrations=image_of("13.0.4")))
    questions: list[tuple[str, str]] = []

    def get_records(self: MySqlHook, *question: Any) -> list[tuple[int]]:
        questions.append((self.get_conn_id(), str(self.schema)))
        return [(1,)]

    monkeypatch.setattr(MySqlHook, "get_records", get_records)
    sensor = SchemaHeadSensor(task_id="wait_expand", phase="expand", **options)
    context = {
        "params": {"cloud": "lab"},
        "run_id": "run-1",
        "ti": SimpleNamespace(task_id="wait_expand", dag_id="keystone_upgrade"),
    }
    assert sensor.poke(context) is True
    assert questions == [asked]


def test_a_phase_that_does_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = image_of("25.0.0")
    assert head_question(Phase.MIGRATE, image) is None
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    RunDirectory("run-1", tmp_path).record(Planned(migrations=image))
    sensor = SchemaHeadSensor(task_id="wait_migrate", phase="migrate")
    context = {
        "params": {"cloud": "lab"},
        "run_id": "run-1",
        "ti": SimpleNamespace(task_id="wait_migrate", dag_id="keystone_upgrade"),
    }
    assert sensor.poke(context) is True
    assert sensor.reschedule
    assert sensor.sql == ""
