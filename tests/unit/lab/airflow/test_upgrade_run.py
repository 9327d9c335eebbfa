"""A run of the DAG is followed by its record and its log; `airflow` is a script here."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import paths
from lab.airflow import process as airflow_process
from lab.airflow.process import AirflowProcess, AirflowSite
from lab.airflow.upgrade_run import UpgradeRun

RUN_ID = "manual__2026-11-22T15:14:22.755342+00:00"
DIRECTORY = "manual__2026-11-22T15_14_22.755342_00_00"
AIRFLOW = f"""\
#!/bin/bash
if [ "$1 $2" = "db migrate" ]; then echo migrated >> "$AIRFLOW_HOME/airflow.db"; exit; fi
echo "asked: $*"
env > "$ROLLOUT_RUNS/../environment"
echo "running {RUN_ID} of $AIRFLOW_HOME"
mkdir -p "$ROLLOUT_RUNS/{DIRECTORY}"
cd "$ROLLOUT_RUNS/{DIRECTORY}"
printf '{{"t": 1, "kind": "plan"}}\\n{{"t": 2, "ki' > events.jsonl
echo '{{"state": "failed"}}' > report.json
sleep 60 &
echo $! > child
wait
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowSite]:
    """Make a checkout whose `airflow` is a script, and let the lab be there."""
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "activate").write_text(f'PATH="{binaries}:$PATH"\n')
    (binaries / "python").symlink_to("/bin/true")
    (binaries / "airflow").write_text(AIRFLOW)
    (binaries / "airflow").chmod(0o755)
    (tmp_path / "lab").symlink_to(paths.SOURCES)
    state = tmp_path / ".lab"
    site = AirflowSite(state / "airflow", state / "runs")
    monkeypatch.setattr(airflow_process, "ROOT", tmp_path)
    monkeypatch.setattr(airflow_process, "LOG", state / "log")
    monkeypatch.setattr(airflow_process, "LAB", site)
    yield site
    child = site.runs / DIRECTORY / "child"
    end = time.monotonic() + 5
    while child.exists() and Path(f"/proc/{child.read_text().strip()}").exists():
        assert time.monotonic() < end, "the run left a process"
        time.sleep(0.02)
    shutil.rmtree(state, ignore_errors=True)


def wait_for_record(run: UpgradeRun) -> None:
    end = time.monotonic() + 20
    while run.directory is None or not (run.directory / "child").exists():
        assert time.monotonic() < end, run.log_text()
        time.sleep(0.02)


def test_a_run_is_known_by_its_record_and_its_log(site: AirflowSite, tmp_path: Path) -> None:
    (site.runs / "manual__2026-01-01T00_00_00_00_00").mkdir(parents=True)
    run = UpgradeRun(
        {"cloud": "lab"},
        tmp_path / "clouds",
        dag="keystone_rollback",
        environment={"SCENARIO": "5"},
        airflow=AirflowProcess(site),
    )
    run.start()
    try:
        wait_for_record(run)
        assert run.directory == site.runs / DIRECTORY
        assert run.run_id == RUN_ID
        assert run.events() == [{"t": 1, "kind": "plan"}], "half a line is no event yet"
        assert [event["kind"] for event in run.new_events()] == ["plan"]
        assert list(run.new_events()) == []
        assert run.report() == {"state": "failed"}
        (site.runs / "manual__2026-11-22T16_00_00_00_00").mkdir()
        assert run.directory == site.runs / DIRECTORY, "a later run's directory is not this one's"
        assert 'asked: dags test keystone_rollback -c {"cloud": "lab"}' in run.log_text()
        environment = (site.runs.parent / "environment").read_text().splitlines()
        assert f"ROLLOUT_CLOUDS={tmp_path / 'clouds'}" in environment
        assert "SCENARIO=5" in environment
        assert not run.ended()
    finally:
        code = run.kill()
    assert code == -9
    assert run.ended()


def test_a_run_that_does_not_end_is_a_time_out_that_names_the_log(site: AirflowSite) -> None:
    run = UpgradeRun({}, airflow=AirflowProcess(site))
    run.start()
    try:
        wait_for_record(run)
        with pytest.raises(TimeoutError, match=f"not ended after 0.1 s, see {run.log}"):
            run.wait(0.1)
    finally:
        run.kill()


def test_a_run_that_has_not_begun_has_no_record(site: AirflowSite) -> None:
    (site.runs / "manual__2026-01-01T00_00_00_00_00").mkdir(parents=True)
    run = UpgradeRun({}, airflow=AirflowProcess(site))
    assert run.directory is None
    with pytest.raises(LookupError, match="no id of the run"):
        _ = run.run_id
    assert run.events() == []
    assert run.report() == {}


def test_another_site_has_a_home_and_runs_of_its_own(site: AirflowSite, tmp_path: Path) -> None:
    second = AirflowSite(tmp_path / ".lab" / "second", tmp_path / ".lab" / "second-runs")
    second.runs.mkdir(parents=True)
    run = UpgradeRun({}, airflow=AirflowProcess(second))
    run.start()
    try:
        wait_for_record(run)
        assert run.directory == second.runs / DIRECTORY
        assert f"of {second.home}" in run.log_text()
        assert (second.home / "airflow.db").read_text() == "migrated\n"
    finally:
        run.kill()


def test_two_logs_of_one_second_are_two_files(site: AirflowSite) -> None:
    logs = [AirflowProcess(site).log for _ in range(3)]
    assert len(set(logs)) == 3
    assert all(log.exists() and log.name.startswith("upgrade-") for log in logs)


def test_a_process_that_was_warmed_up_runs_the_command_it_is_told(
    site: AirflowSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    process = AirflowProcess(site)
    process.warm_up()
    assert process.process is not None
    process.start(
        ["config", "get-value", "core", "parallelism"], {"AIRFLOW__CORE__PARALLELISM": "7"}
    )
    assert process.process.wait(60) == 0, process.log.read_text()
    assert process.log.read_text().splitlines()[-1].strip() == "7"


def test_a_process_that_nobody_needs_is_dismissed(site: AirflowSite) -> None:
    process = AirflowProcess(site)
    process.dismiss()
    process.warm_up()
    assert process.process is not None
    assert process.process.poll() is None
    process.dismiss()
    assert process.process.poll() is not None


def test_the_end_of_input_ends_a_process_that_was_warmed_up(site: AirflowSite) -> None:
    """Whoever warmed it up may be gone: nobody is left to dismiss it."""
    process = AirflowProcess(site)
    process.warm_up()
    assert process.process is not None
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert process.process.wait(60) == 0, process.log.read_text()


def test_params_reach_the_run_as_json(site: AirflowSite) -> None:
    params = {"cloud": "lab", "auto_approve": True, "confirm": 'it\'s "so"'}
    run = UpgradeRun(params, airflow=AirflowProcess(site))
    run.start()
    try:
        wait_for_record(run)
        asked = next(line for line in run.log_text().splitlines() if line.startswith("asked: "))
        assert json.loads(asked.partition(" -c ")[2]) == params
    finally:
        run.kill()
