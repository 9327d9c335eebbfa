"""The trigger forms: what they offer, what they refuse, and that what is filled in takes effect."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError

from keystone_rollout.dag_parts.trigger_form import cloud_params, load_params
from keystone_rollout.domain.cloud.overrides import OVERRIDES
from tests.stand_ins.release_texts import DANGEROUS, GOOD

ROOT = Path(__file__).resolve().parents[2]
CLOUDS = ROOT / "include" / "clouds"
LOAD = {"load_rate", "load_users", "failure_budget", "p99_multiple", "p99_floor_ms"}
CLOUD = {"cloud", "source", "target"}
DEFAULTS = {
    "keystone_plan": {"cloud": "lab", "source": "", "target": ""},
    "keystone_upgrade": {
        "cloud": "lab", "source": "", "target": "", "action": "upgrade", "auto_approve": False,
        "break_lock": "", **dict.fromkeys(LOAD),
    },
    "keystone_rollback": {
        "cloud": "lab", "source": "", "target": "", "break_lock": "", **dict.fromkeys(LOAD),
    },
    "keystone_restore": {
        "cloud": "lab", "source": "", "target": "", "backup": "", "confirm": "", "break_lock": "",
    },
}  # fmt: skip


@pytest.fixture
def upgrade(dags: dict[str, DAG]) -> DAG:
    return dags["keystone_upgrade"]


@pytest.mark.parametrize("dag_id", DEFAULTS)
def test_nothing_filled_in_is_valid_and_means_the_cloud_file(
    dags: dict[str, DAG], dag_id: str
) -> None:
    assert dags[dag_id].params.validate() == DEFAULTS[dag_id]


@pytest.mark.parametrize("dag_id", DEFAULTS)
def test_every_field_has_a_title_a_section_and_says_what_it_is_for(
    dags: dict[str, DAG], dag_id: str
) -> None:
    for name, param in dags[dag_id].params.items():
        assert param.schema["title"], name
        assert param.schema["section"], name
        assert len(param.schema["description_md"]) > 40, name
        # An empty text of a type without null keeps the form's button grey.
        assert param.value != "" or param.schema["type"] == ["null", "string"], name


def test_clouds_are_the_files_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offered() -> tuple[list[str], str]:
        param = cloud_params(source="a", target="b")["cloud"]
        return param.schema["enum"], param.resolve()

    assert offered() == (sorted(path.stem for path in CLOUDS.glob("*.yaml")), "lab")
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path))
    assert offered() == (["lab"], "lab")
    # Its name alone is read: a file that is no cloud keeps nobody from opening the form.
    (tmp_path / "staging.yaml").write_bytes(b"\xff{")
    (tmp_path / "notes.txt").write_text("")
    assert offered() == (["staging"], "staging")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cloud", "no-such-cloud"),
        ("cloud", "../lab"),
        ("source", "queens"),
        ("source", "13.0"),
        ("target", "13.0.4; reboot"),
        ("action", "contract"),
        ("auto_approve", "yes"),
        ("load_rate", 0),
        ("load_rate", 5001),
        ("load_rate", "fast"),
        ("load_users", 0),
        ("load_users", 2.5),
        ("failure_budget", -1),
        ("p99_multiple", 1),
        ("p99_multiple", 101),
        ("p99_floor_ms", 0),
    ],
)
def test_a_bad_value_is_refused_by_the_form(upgrade: DAG, name: str, value: Any) -> None:
    form = copy.deepcopy(upgrade.params)
    with pytest.raises(ParamValidationError):
        form[name] = value


@pytest.mark.parametrize("name", ["source", "target"])
@pytest.mark.parametrize("text", GOOD)
def test_the_form_takes_every_kind_of_release(upgrade: DAG, name: str, text: str) -> None:
    form = copy.deepcopy(upgrade.params)
    form[name] = text
    assert form[name] == text


@pytest.mark.parametrize("name", ["source", "target"])
@pytest.mark.parametrize("text", DANGEROUS)
def test_the_form_refuses_what_a_shell_would_read_otherwise(
    upgrade: DAG, name: str, text: str
) -> None:
    form = copy.deepcopy(upgrade.params)
    with pytest.raises(ParamValidationError):
        form[name] = text


@pytest.mark.parametrize("name", sorted(OVERRIDES))
def test_the_forms_bounds_are_the_cloud_files(name: str) -> None:
    schema, allowed = load_params()[name].schema, OVERRIDES[name].schema()
    assert schema["type"] == ["null", allowed["type"]]
    for key in ("minimum", "exclusiveMinimum", "maximum"):
        if key in allowed:
            assert schema[key] == allowed[key]
    assert "maximum" in schema
    assert {"minimum", "exclusiveMinimum"} & set(schema)


def test_what_is_filled_in_is_a_deviation_in_the_report(
    upgrade: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    run = upgrade.test(run_conf={"load_rate": 12.5, "failure_budget": 3})
    assert run.state == "failed", "no connection is defined here"
    (path,) = tmp_path.glob("*/report.json")
    texts = [each["text"] for each in json.loads(path.read_text())["deviations"]]
    assert texts == [
        "param load_rate: load.profile.rate is 12.5 in this run, 60 in the cloud file",
        "param failure_budget: limits.load.failure_budget is 3 in this run, 0 in the cloud file",
    ]
    assert "load.profile.rate is 12.5 in this run" in path.with_name("report.html").read_text()


def test_a_check_ends_after_preflight_and_skips_all_the_rest(
    upgrade: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    run = upgrade.test(run_conf={"action": "check"}, mark_success_pattern="^(plan|preflight)$")
    assert run.state == "success"
    states = {task.task_id: task.state for task in run.get_task_instances()}
    ran = {task for task, state in states.items() if state != "skipped"}
    assert ran == {"plan", "preflight", "write_report"}
    assert {states[task] for task in ran} == {"success"}
    (path,) = tmp_path.glob("*/report.json")
    record = json.loads(path.read_text())
    assert [each["text"] for each in record["deviations"]] == [
        "only checked, as asked for (param action): nothing was changed"
    ]
    assert (
        "Nothing was changed: it ended after its checks." in path.with_suffix(".html").read_text()
    )


def test_without_a_check_it_goes_on(
    upgrade: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    run = upgrade.test(run_conf={"action": "upgrade"}, mark_success_pattern="^(plan|preflight)$")
    states = {task.task_id: task.state for task in run.get_task_instances()}
    assert (states["go_on"], states["take_lock"]) == ("success", "failed")
