"""What the plan hands to later tasks is plain data, as Airflow hands it on."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.run.events import Planned
from keystone_rollout.domain.schema.forecast import forecasts
from keystone_rollout.domain.schema.state import MigrationState
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.run import RolloutRun
from operators.plan_upgrade import PlanUpgradeOperator
from tests.stand_ins.image_listings import image_of, numbers
from tests.stand_ins.record_example import running


def test_its_xcom_is_json_and_the_record_keeps_the_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RolloutRun(load_cloud("lab"), RunDirectory("run", tmp_path), "plan")
    image = image_of("13.0.4")
    read = Planned(
        cloud="lab", source="12.0.3", target="13.0.4", migrations=image,
        phases=forecasts(MigrationState(numbers(24, 24, 24), image)),
        nodes={"keystone-1": running("12.0.3")},
    )  # fmt: skip
    operator = PlanUpgradeOperator(task_id="plan")
    monkeypatch.setattr(operator, "_read", lambda run: read)
    params = {"cloud": "lab", "source": "", "target": ""}
    context = {"ti": SimpleNamespace(dag_id="keystone_upgrade"), "params": params}
    handed_on = operator.run_step(run, context)
    assert json.loads(json.dumps(handed_on)) == handed_on
    assert handed_on["target"] == "13.0.4"
    assert [each["does"] for each in handed_on["phases"]] == ["runs"] * 3
    assert run.image() == image
    assert run.plan().phases == read.phases
    assert run.plan().nodes["keystone-1"].serves("12.0.3")
