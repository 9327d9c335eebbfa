"""Airflow's API is asked over real connections: health, login, and what it could not import."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from machine.errors import CommandError
from production import page as page_module
from production import paths
from production.page import COMPONENTS, Page

BEFORE = datetime(2026, 2, 1, 12, 0, 0, tzinfo=UTC)
AFTER = datetime(2026, 2, 1, 12, 0, 1, tzinfo=UTC)


class Airflow(BaseHTTPRequestHandler):
    """Answer as Airflow does, from what the test has put into the server."""

    server: AirflowServer

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/api/v2/monitor/health":
            self._answer(200, {name: self.server.component(name) for name in self.server.health})
        elif self.headers.get("Authorization") != "Bearer of-viewer":
            self._answer(401, {})
        elif path == "/api/v2/dags" and self.server.failing > 0:
            self.server.failing -= 1
            self._answer(503, {})
        elif path == "/api/v2/dags":
            read = self.server.read
            found = [{"dag_id": each, "last_parsed_time": read} for each in self.server.dags]
            self._answer(200, {"dags": found})
        elif path == "/api/v2/importErrors":
            self._answer(200, {"import_errors": self.server.import_errors})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body == {"username": "viewer", "password": "sesame"}:
            self._answer(201, {"access_token": "of-viewer"})
        else:
            self._answer(401, {"detail": "Invalid credentials"})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class AirflowServer(ThreadingHTTPServer):
    """Hold what Airflow answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Airflow)
        self.health = dict.fromkeys(COMPONENTS, "healthy")
        self.dags = ["keystone_upgrade"]
        self.import_errors: list[dict[str, str]] = []
        self.failing = 0
        self.heartbeat = self.read = "2026-02-01T12:00:00.5Z"

    def component(self, name: str) -> dict[str, str]:
        """Return what the page says of one component."""
        return {"status": self.health[name], f"latest_{name}_heartbeat": self.heartbeat}


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowServer]:
    monkeypatch.setattr(paths, "PASSWORDS", tmp_path / "passwords.json")
    paths.PASSWORDS.write_text('{"viewer": "sesame"}')
    monkeypatch.setattr(page_module, "POLL_S", 0.05)
    with AirflowServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def page(airflow: AirflowServer) -> Page:
    return Page(f"http://127.0.0.1:{airflow.server_port}")


def test_healthy_is_when_every_component_is(page: Page, airflow: AirflowServer) -> None:
    page.wait_until_healthy(1)
    airflow.health["triggerer"] = "unhealthy"
    with pytest.raises(CommandError, match=r"not healthy after 0\.1 s: .*triggerer unhealthy"):
        page.wait_until_healthy(0.1)


def test_a_component_that_has_never_been_there_is_not_healthy(
    page: Page, airflow: AirflowServer
) -> None:
    del airflow.health["dag_processor"]
    with pytest.raises(CommandError, match="dag_processor None"):
        page.wait_until_healthy(0.1)


def test_nobody_there_is_not_healthy(airflow: AirflowServer) -> None:
    with pytest.raises(CommandError, match="nobody answers"):
        Page("http://127.0.0.1:1").wait_until_healthy(0.1)


def test_dags_are_asked_for_with_a_login(page: Page, airflow: AirflowServer) -> None:
    page.wait_for_dags({"keystone_upgrade"}, 1, BEFORE)
    with pytest.raises(CommandError, match=r"has not read DAG keystone_plan after 0\.1 s"):
        page.wait_for_dags({"keystone_upgrade", "keystone_plan"}, 0.1, BEFORE)


def test_a_dag_that_was_read_before_the_start_is_not_read_yet(page: Page) -> None:
    with pytest.raises(CommandError, match=r"has not read DAG keystone_upgrade after 0\.1 s"):
        page.wait_for_dags({"keystone_upgrade"}, 0.1, AFTER)


def test_a_heartbeat_from_before_the_start_is_that_of_a_process_which_is_gone(page: Page) -> None:
    page.wait_until_healthy(1, BEFORE)
    with pytest.raises(
        CommandError, match="metadatabase healthy, scheduler silent since the start"
    ):
        page.wait_until_healthy(0.1, AFTER)


def test_a_file_that_airflow_cannot_import_is_named_at_once(
    page: Page, airflow: AirflowServer
) -> None:
    error = {"filename": "keystone_plan.py", "stack_trace": "No module x"}
    airflow.import_errors = [{**error, "timestamp": airflow.read}]
    with pytest.raises(CommandError, match=r"1 DAG file\(s\): keystone_plan\.py: No module x"):
        page.wait_for_dags({"keystone_upgrade"}, 60, BEFORE)


def test_an_error_from_before_the_start_may_be_mended(page: Page, airflow: AirflowServer) -> None:
    error = {"filename": "keystone_plan.py", "stack_trace": "No module x"}
    airflow.import_errors = [{**error, "timestamp": "2026-02-01T11:00:00Z"}]
    page.wait_for_dags({"keystone_upgrade"}, 1, BEFORE)


def test_a_page_that_is_still_starting_is_asked_again(page: Page, airflow: AirflowServer) -> None:
    airflow.failing = 2
    page.wait_for_dags({"keystone_upgrade"}, 5, BEFORE)
    assert airflow.failing == 0
    airflow.failing = 1000
    with pytest.raises(CommandError, match=r"did not answer \(HTTPError\) after 0\.2 s"):
        page.wait_for_dags({"keystone_upgrade"}, 0.2, BEFORE)


def test_a_wrong_password_is_not_printed(page: Page) -> None:
    paths.PASSWORDS.write_text('{"viewer": "wrong-one"}')
    with pytest.raises(CommandError, match=r"refuses user viewer .*: 401") as caught:
        page.log_in("viewer")
    assert "wrong-one" not in str(caught.value)
