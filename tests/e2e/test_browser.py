"""An upgrade as an operator does it, in real Chromium: from the login to the report's chart.

The page is that of `make ui`, with a login. The tests go through one run, in this order; the last
one ends the page.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import requests

from lab.airflow.environment import ALL_ADMINS, UI_PORT
from lab.airflow.page import is_healthy
from lab.cloud import database, nodes
from lab.paths import ROOT, STATE
from machine import network
from machine.files import write_private
from tests.browser import Visit, chromium, take_picture, visit
from tests.e2e.airflow_pages import AirflowPages, RunPage
from tests.lab_fixtures import SOURCE, TARGET, put_at_source
from tests.scenarios.scenario_cloud import scenario_cloud, write_cloud
from tests.scenarios.scene import end_load, load_runs, wait_for
from tests.scenarios.scheduled_upgrade import READING_SECONDS

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal, pytest.mark.browser]

ADDRESS = f"http://127.0.0.1:{UI_PORT}"
DAG = "keystone_upgrade"
RUN = f"pike-to-queens-{time.strftime('%Y%m%dT%H%M%S')}"
"""Its record stays in the lab, so that each run needs an id of its own."""

APPROVAL = "contraction.approve_contract"
USER, ROLE = "operator", "user"
"""The role that may trigger and answer, and nothing beyond."""

SOMEBODY_ANSWERS = {"limits": {"approval_seconds": 600}}
RATE = 35
"""Requests a second: not what the cloud file says."""

START_SECONDS, RUN_SECONDS = 180.0, 600.0
WIDTH, HEIGHT = 1280, 1200
"""Pixels: high enough for all rows of the grid, and for the whole form."""


@dataclass
class Site:
    """Hold the process that serves Airflow's page, and the password that opens it."""

    process: subprocess.Popen[bytes]
    password: str

    def knows_the_dag(self) -> bool:
        """Tell whether the page knows the upgrade; AssertionError when its process has ended."""
        assert self.process.poll() is None, "the page's process has ended"
        if not is_healthy():
            return False
        login = {"username": USER, "password": self.password}
        try:
            answer = requests.post(f"{ADDRESS}/auth/token", json=login, timeout=30)
            headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            answer = requests.get(f"{ADDRESS}/api/v2/dags/{DAG}", headers=headers, timeout=30)
        except (requests.RequestException, ValueError, KeyError):
            return False
        return answer.status_code == 200


@pytest.fixture(scope="module")
def site(lab: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve Airflow's page with a login, against the lab at its source release."""
    put_at_source(lab)
    folder = tmp_path_factory.mktemp("page")
    password = secrets.token_urlsafe(16)
    passwords = folder / "passwords.json"
    write_private(passwords, json.dumps({USER: password}))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "plugins"),
        "ROLLOUT_CLOUDS": str(write_cloud(scenario_cloud(SOMEBODY_ANSWERS), folder / "clouds")),
        ALL_ADMINS: "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:{ROLE}",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    command = [sys.executable, "-m", "lab", "ui", "--home", str(folder / "home")]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        site = Site(process, password)
        wait_for(f"the DAG on {ADDRESS}", site.knows_the_dag, START_SECONDS, 1.0)
        yield site
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        end_load(STATE / "runs" / RUN)


@pytest.fixture(scope="module")
def visited(site: Site) -> Iterator[Visit]:
    """Open a browser's window."""
    with chromium() as browser, visit(browser, WIDTH, HEIGHT) as visited:
        yield visited


@pytest.fixture(scope="module")
def pages(visited: Visit) -> AirflowPages:
    """Return the pages of Airflow in that window."""
    return AirflowPages(visited.page, ADDRESS)


@pytest.fixture(scope="module")
def run(pages: AirflowPages) -> RunPage:
    """Return the page of the run that all tests are about."""
    return RunPage(pages.page, f"{ADDRESS}/dags/{DAG}/runs/{RUN}", RUN)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for pictures that nobody has asked for."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(autouse=True)
def picture_of_failure(
    request: pytest.FixtureRequest, visited: Visit, pictures: Path
) -> Iterator[None]:
    """Keep what the window showed when a test failed."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        path = pictures / f"{request.node.name}.png"
        visited.page.screenshot(path=path)
        print(f"the window: {path} ({visited.page.url})")


def test_nobody_gets_in_without_the_password(pages: AirflowPages, site: Site) -> None:
    assert requests.get(f"{ADDRESS}/api/v2/dags/{DAG}", timeout=30).status_code == 401
    pages.log_in(USER, site.password + "x")
    pages.page.get_by_text("Invalid credentials").wait_for()
    pages.log_in(USER, site.password)
    pages.wait_until_logged_in()


def test_the_form_can_be_sent_as_it_opens_and_refuses_a_release_that_is_none(
    pages: AirflowPages,
) -> None:
    form = pages.open_dag(DAG).open_trigger_form()
    assert form.incomplete() == []
    form.fill({"target": "13.0"})
    form.trigger()
    form.wait_until_refused()


def test_what_is_filled_in_is_what_the_upgrade_asks_approval_for(
    pages: AirflowPages, run: RunPage, pictures: Path
) -> None:
    form = pages.open_dag(DAG).open_trigger_form()
    form.name_run(RUN)
    form.fill({"source": SOURCE, "target": TARGET, "load_rate": RATE, "auto_approve": False})
    form.fill({"cloud": "lab"})
    take_picture(pages.page, "trigger-form.png", pictures)
    form.trigger()
    form.wait_until_started()

    run.open_task("nodes.upgrade_first_node")
    run.wait_for_state("nodes.upgrade_first_node", "Success", RUN_SECONDS)
    run.open()
    run.open_all_groups("nodes.verify_nodes")
    take_picture(pages.page, "running-grid.png", pictures)

    load = run.open_load("load.start_load")
    assert load.get_by_role("heading", level=1).inner_text() == "Running"
    assert "0 failed" in load.get_by_role("main").inner_text()
    told = load.locator("footer").inner_text()
    wait_for("new numbers", lambda: load.locator("footer").inner_text() != told, START_SECONDS, 1.0)
    assert load.get_by_role("heading", level=1).inner_text() == "Running"
    take_picture(load, "running-load.png", pictures)

    run.open_task(APPROVAL)
    run.wait_for_state(APPROVAL, "Awaiting Input", RUN_SECONDS)
    question = run.open_question(APPROVAL).inner_text()
    assert SOURCE in question
    assert TARGET in question
    assert f"{RUN}.sql" in question, "the backup"
    take_picture(pages.page, "approval.png", pictures)


def test_approved_it_turns_green(
    lab: docker.DockerClient, pages: AirflowPages, run: RunPage
) -> None:
    assert database.schema_versions()["keystone_contract"] != "44", "not before somebody agrees"
    pages.page.wait_for_timeout(READING_SECONDS * 1000)
    run.approve()
    run.open()
    run.wait_for_state(RUN, "Success", RUN_SECONDS)
    assert [state.running for state in nodes.read_states(lab)] == [TARGET] * 3
    assert database.schema_versions()["keystone_contract"] == "44"
    assert not load_runs(STATE / "runs" / RUN)


def test_its_report_opens_from_the_page_and_has_its_chart(
    run: RunPage, visited: Visit, pictures: Path
) -> None:
    report = run.open_report("write_report")
    assert report.get_by_role("heading", level=1).inner_text() == "Succeeded"
    told = report.get_by_role("main").inner_text()
    assert f"load.profile.rate is {RATE} in this run" in told, "what the form asked for"
    charts = [svg for svg in report.locator(".chart > svg").all() if svg.is_visible()]
    assert len(charts) == 1
    for node in ("keystone-1", "keystone-2", "keystone-3"):
        assert charts[0].get_by_text(node).count() > 0, f"{node} has no lane"
    # The curves: requests, p50, p95 and p99, each with a point for most of the run's seconds.
    for curve in ("rate-line", "p50", "p95", "p99"):
        line = charts[0].locator(f"path.{curve}").first.get_attribute("d") or ""
        assert line.count(",") > 30, f"{curve} has hardly any points: {line[:200]}"
    take_picture(report, "report.png", pictures)
    assert visited.refused == []
    assert visited.errors == []


def test_the_page_ends_when_it_is_told_to(site: Site) -> None:
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(60) == 0
    assert network.is_free(UI_PORT), "a component outlives the command"
