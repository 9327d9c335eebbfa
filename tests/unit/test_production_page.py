"""Airflow's API is asked over real connections: health, login, and what it could not import."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from production import page as page_module
from production import paths
from production.page import COMPONENTS, Page


class Airflow(BaseHTTPRequestHandler):
    """Answer as Airflow does, from what the test has put into the server."""

    server: AirflowServer

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/api/v2/monitor/health":
            self._answer(200, {name: {"status": s} for name, s in self.server.health.items()})
        elif self.headers.get("Authorization") != "Bearer of-viewer":
            self._answer(401, {})
        elif path == "/api/v2/dags" and self.server.failing > 0:
            self.server.failing -= 1
            self._answer(503, {})
        elif path == "/api/v2/dags":
            self._answer(200, {"dags": [{"dag_id": each} for each in self.server.dags]})
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
    with pytest.raises(LabError, match=r"not healthy after 0\.1 s: .*triggerer unhealthy"):
        page.wait_until_healthy(0.1)


def test_a_component_that_has_never_been_there_is_not_healthy(
    page: Page, airflow: AirflowServer
) -> None:
    del airflow.health["dag_processor"]
    with pytest.raises(LabError, match="dag_processor None"):
        page.wait_until_healthy(0.1)


def test_nobody_there_is_not_healthy(airflow: AirflowServer) -> None:
    with pytest.raises(LabError, match="nobody answers"):
        Page("http://127.0.0.1:1").wait_until_healthy(0.1)


def test_dags_are_asked_for_with_a_login(page: Page, airflow: AirflowServer) -> None:
    page.wait_for_dags({"keystone_upgrade"}, 1)
    with pytest.raises(LabError, match=r"does not know DAG keystone_plan after 0\.1 s"):
        page.wait_for_dags({"keystone_upgrade", "keystone_plan"}, 0.1)


def test_a_file_that_airflow_cannot_import_is_named_at_once(
    page: Page, airflow: AirflowServer
) -> None:
    airflow.import_errors = [{"filename": "keystone_plan.py", "stack_trace": "No module x"}]
    with pytest.raises(LabError, match=r"1 DAG file\(s\): keystone_plan\.py: No module x"):
        page.wait_for_dags({"keystone_upgrade"}, 60)


def test_a_page_that_is_still_starting_is_asked_again(page: Page, airflow: AirflowServer) -> None:
    airflow.failing = 2
    page.wait_for_dags({"keystone_upgrade"}, 5)
    assert airflow.failing == 0
    airflow.failing = 1000
    with pytest.raises(LabError, match=r"did not answer \(HTTPError\) after 0\.2 s"):
        page.wait_for_dags({"keystone_upgrade"}, 0.2)


def test_a_wrong_password_is_not_printed(page: Page) -> None:
    paths.PASSWORDS.write_text('{"viewer": "wrong-one"}')
    with pytest.raises(LabError, match=r"refuses user viewer .*: 401") as caught:
        page.log_in("viewer")
    assert "wrong-one" not in str(caught.value)
