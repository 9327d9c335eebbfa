"""Airflow as operators run it: `make airflow` in containers, asked as an operator asks it.

The last test stops it, and goes on with a worker.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
import requests
import yaml

from keystone_rollout.hooks.files.run_identity import folder_name
from keystone_rollout.hooks.files.run_pages import history_address, run_page_address
from lab import paths as lab_paths
from machine.compose import find_command
from production import paths, secret_files
from production.page import Page
from production.settings import PROJECT, read_written

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

PORT = 8095
RUN_SECONDS = 600.0
SERVICES = {"postgres", "api-server", "scheduler", "dag-processor", "triggerer"}
CONNECTIONS = "SELECT conn_id, is_encrypted FROM connection"


def production(*arguments: str) -> str:
    """Run what the targets of make run; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "production", *arguments],
        cwd=paths.ROOT,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def printed(lab: docker.DockerClient) -> Iterator[str]:
    """Bring it up, on a port of the test's; an Airflow that somebody uses is not disturbed."""
    if lab.containers.list(filters={"label": f"com.docker.compose.project={PROJECT}"}):
        pytest.fail(
            "Airflow's containers of this project run already, so it cannot be tested whether they "
            "start. Next: make airflow-down, then run this again"
        )
    try:
        yield production("up", "--port", str(PORT))
    finally:
        production("down")


@pytest.fixture(scope="module")
def page(printed: str) -> Page:
    return Page(f"http://127.0.0.1:{read_written()['ROLLOUT_PORT']}")


@pytest.fixture(scope="module")
def containers(printed: str, lab: docker.DockerClient) -> dict[str, Any]:
    """Return Airflow's running containers by their service."""
    found = lab.containers.list(filters={"label": f"com.docker.compose.project={PROJECT}"})
    return {str(each.labels["com.docker.compose.service"]): each for each in found}


def secrets() -> dict[str, str]:
    """Return every secret of this installation by the file it is in."""
    known = {name: (paths.SECRETS / name).read_text().strip() for name in secret_files.NAMES}
    of_the_lab = {
        name: each["password"] for name, each in lab_connections().items() if each.get("password")
    }
    return known | of_the_lab | json.loads(paths.PASSWORDS.read_text())


def lab_connections() -> dict[str, Any]:
    """Return the lab's connections by their id."""
    found: dict[str, Any] = yaml.safe_load(lab_paths.CONNECTIONS.read_text())
    return found


def stored_connections(client: docker.DockerClient) -> dict[str, str]:
    """Return whether each connection in Airflow's database is encrypted: t or f, by its id."""
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    psql = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-At", "airflow", "-c", CONNECTIONS]
    done = client.containers.get("keystone-rollout-postgres").exec_run([*as_postgres, *psql])
    assert done.exit_code == 0, done.output
    return dict(line.split("|") for line in done.output.decode().splitlines())


def test_it_says_where_it_is_and_where_the_passwords_are_but_not_which(printed: str) -> None:
    assert f"http://127.0.0.1:{PORT}/" in printed
    assert str(paths.PASSWORDS) in printed
    assert not [name for name, secret in secrets().items() if secret in printed]


def test_nobody_gets_in_without_a_password(page: Page) -> None:
    assert requests.get(f"{page.address}/api/v2/dags", timeout=30).status_code == 401
    assert requests.get(f"{page.address}/auth/token", timeout=30).status_code == 403
    wrong = {"username": "admin", "password": "admin"}
    assert requests.post(f"{page.address}/auth/token", json=wrong, timeout=30).status_code == 401


def test_no_secret_is_where_docker_shows_it(
    containers: dict[str, Any], lab: docker.DockerClient
) -> None:
    assert set(containers) == SERVICES
    shown = "".join(
        json.dumps(each.attrs) + each.logs().decode(errors="replace") + json.dumps(each.top())
        for each in containers.values()
    )
    for image in ("airflow", "postgres"):
        shown += json.dumps(lab.api.history(f"keystone-rollout/{image}"))
    assert "SQL_ALCHEMY_CONN_CMD" in shown
    assert not [name for name, secret in secrets().items() if secret in shown]


def test_the_page_alone_listens_and_on_the_loopback_address(containers: dict[str, Any]) -> None:
    pids = {int(process[1]) for each in containers.values() for process in each.top()["Processes"]}
    listening = {
        tuple(each.laddr)
        for each in psutil.net_connections(kind="tcp")
        if each.status == psutil.CONN_LISTEN and each.pid in pids
    }
    assert listening == {("127.0.0.1", PORT)}


def test_the_labs_connections_are_stored_and_encrypted(
    page: Page, lab: docker.DockerClient
) -> None:
    stored = stored_connections(lab)
    for name, each in lab_connections().items():
        assert stored[name] == "t" if each.get("password") else name in stored


def test_a_file_of_connections_is_stored_and_encrypted(
    page: Page, lab: docker.DockerClient, tmp_path: Path
) -> None:
    file = tmp_path / "connections.yaml"
    file.write_text("of_the_test: {conn_type: generic, login: somebody, password: open-sesame}\n")
    said = production("connections", str(file))
    assert "of_the_test" in said
    assert "open-sesame" not in said
    assert stored_connections(lab)["of_the_test"] == "t"


@pytest.mark.parametrize("command", [["ps"], ["logs", "scheduler"]])
def test_the_containers_are_asked_by_hand(printed: str, command: list[str]) -> None:
    ours = ("ROLLOUT_", "COMPOSE_", "LAB_")
    done = subprocess.run(
        [*find_command(), "--env-file", ".airflow/compose.env", *command],
        cwd=paths.ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "scheduler" in done.stdout


def plan_the_lab(page: Page, operator: dict[str, str]) -> str:
    """Start keystone_plan as an operator, wait for its end, and return the run's id."""
    runs = f"{page.address}/api/v2/dags/keystone_plan"
    wanted = {"logical_date": None, "conf": {"cloud": "lab"}}
    started = requests.post(f"{runs}/dagRuns", json=wanted, headers=operator, timeout=30)
    run_id = str(started.json()["dag_run_id"])
    path = f"/api/v2/dags/keystone_plan/dagRuns/{run_id}"
    end = time.monotonic() + RUN_SECONDS
    while (state := page.get(path, operator)["state"]) not in ("success", "failed"):
        assert time.monotonic() < end, f"{state} after {RUN_SECONDS:g} s"
        time.sleep(2)
    log = json.dumps(page.get(f"{path}/taskInstances/write_plan/logs/1", operator))
    assert state == "success", log[-3000:]
    assert "plan.html" in log, "the page shows the task's log"
    return run_id


def test_an_operator_plans_an_upgrade_of_the_lab(page: Page) -> None:
    """The task reads nodes, database, HAProxy and the image: all that an upgrade has to reach."""
    viewer = page.log_in("viewer")
    wanted = {"logical_date": None, "conf": {"cloud": "lab"}}
    runs = f"{page.address}/api/v2/dags/keystone_plan/dagRuns"
    assert requests.post(runs, json=wanted, headers=viewer, timeout=30).status_code == 403
    run_id = plan_the_lab(page, page.log_in("operator"))
    assert (paths.RUNS / folder_name(run_id) / "plan.html").stat().st_size > 1000
    shown = f"{page.address}{run_page_address(run_id, 'plan.html')}"
    assert requests.get(shown, timeout=30).status_code == 401
    assert "plan of Keystone" in requests.get(shown, headers=viewer, timeout=30).text


def test_what_tasks_keep_of_rehearsals_is_shown_to_who_is_logged_in(
    page: Page, containers: dict[str, Any]
) -> None:
    cloud = f"of-a-test-{os.getpid()}"
    folder = paths.REHEARSALS / cloud
    write = f"mkdir {folder} && echo kept > {folder}/history.html"
    try:
        done = containers["scheduler"].exec_run(["sh", "-c", write])
        assert done.exit_code == 0, done.output.decode()
        shown = f"{page.address}{history_address(cloud)}"
        assert requests.get(shown, timeout=30).status_code == 401
        answer = requests.get(shown, headers=page.log_in("viewer"), timeout=30)
        assert (answer.status_code, answer.text) == (200, "kept\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_stop_loses_nothing_and_a_worker_may_run_the_tasks_then(
    page: Page, lab: docker.DockerClient
) -> None:
    """The last one: the other tests' containers are gone after it."""
    kept = stored_connections(lab), secrets(), runs_of_plan(page)
    production("down")
    ours = {"label": f"com.docker.compose.project={PROJECT}"}
    assert not lab.containers.list(all=True, filters=ours)

    production("up", "--port", str(PORT), "--celery")
    assert (stored_connections(lab), secrets(), runs_of_plan(page)) == kept
    # Started like one on another machine.
    lab.containers.get(f"{PROJECT}-worker").remove(force=True)
    production("worker", "--port", str(PORT))
    # With this executor the scheduler runs no task itself.
    environment = lab.containers.get(f"{PROJECT}-scheduler").attrs["Config"]["Env"]
    assert "AIRFLOW__CORE__EXECUTOR=CeleryExecutor" in environment
    plan_the_lab(page, page.log_in("operator"))


def runs_of_plan(page: Page) -> dict[str, str]:
    """Return the state of each run of keystone_plan."""
    found = page.get("/api/v2/dags/keystone_plan/dagRuns", page.log_in("viewer"))["dag_runs"]
    return {run["dag_run_id"]: run["state"] for run in found}
