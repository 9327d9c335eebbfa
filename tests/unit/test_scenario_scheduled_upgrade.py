"""What is asked of Airflow's REST API, and what is made of its answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from lab.airflow.page import Components
from tests.scenarios import scheduled_upgrade
from tests.scenarios.scheduled_upgrade import APPROVAL, ScheduledUpgrade

RUN = "manual__2026-11-22T18:42:19+00:00"
READING = 0.2
RUN_PATH = f"/api/v2/dags/keystone_upgrade/dagRuns/{RUN}"


class Page(ThreadingHTTPServer):
    """Answer as Airflow does, from memory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, Any]] = []
        self.state = "running"
        self.tasks = {APPROVAL: "awaiting_input", "contraction.contract": "upstream_failed"}

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        if method == "POST" and path.endswith("/dagRuns"):
            return 200, {"dag_run_id": RUN}
        if path.startswith(f"{RUN_PATH}/taskInstances?"):
            rows = [{"task_id": task, "state": state} for task, state in self.tasks.items()]
            return 200, {"task_instances": rows}
        if path == RUN_PATH:
            return 200, {"state": self.state}
        return (200, {}) if method != "GET" else (404, {"detail": "nobody here"})


class _Handler(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        page = cast(Page, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        page.asked.append((self.command, self.path, json.loads(body) if body else None))
        status, answer = page.answer(self.command, self.path)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = _serve

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    with Page() as page:
        thread = threading.Thread(target=page.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        host, port = page.server_address[:2]
        monkeypatch.setattr(scheduled_upgrade, "PAGE", f"http://{host!s}:{port}")
        yield page
        page.shutdown()
        thread.join()


@pytest.fixture
def upgrade(page: Page) -> ScheduledUpgrade:
    upgrade = ScheduledUpgrade(cast(Components, None), READING)
    upgrade.trigger({"cloud": "lab", "auto_approve": False})
    return upgrade


def test_a_run_is_triggered_with_its_params(page: Page, upgrade: ScheduledUpgrade) -> None:
    assert upgrade.run_id == RUN
    assert upgrade.directory.name == "manual__2026-11-22T18_42_19_00_00"
    conf = {"cloud": "lab", "auto_approve": False}
    asked = ("POST", "/api/v2/dags/keystone_upgrade/dagRuns", {"logical_date": None, "conf": conf})
    assert page.asked == [asked]


def test_the_approval_is_answered_where_it_was_asked(page: Page, upgrade: ScheduledUpgrade) -> None:
    upgrade.wait_for_approval()
    asked = time.monotonic()
    upgrade.answer("Reject")
    assert time.monotonic() - asked >= READING, "whoever answers has read it"
    method, path, body = page.asked[-1]
    assert (method, body) == ("PATCH", {"chosen_options": ["Reject"]})
    assert path == f"{RUN_PATH}/taskInstances/{APPROVAL}/-1/hitlDetails"


def test_failed_tasks_are_cleared_for_real(page: Page, upgrade: ScheduledUpgrade) -> None:
    upgrade.clear_failed()
    assert page.asked[-1] == (
        "POST",
        "/api/v2/dags/keystone_upgrade/clearTaskInstances",
        {"dry_run": False, "only_failed": True, "dag_run_id": RUN},
    )


def test_a_run_that_fails_before_it_asks_names_its_red_tasks(
    page: Page, upgrade: ScheduledUpgrade
) -> None:
    page.state = "failed"
    page.tasks = {"database.expand": "failed", APPROVAL: "upstream_failed", "plan": "success"}
    with pytest.raises(AssertionError, match="failed before approval") as error:
        upgrade.wait_for_approval()
    assert "database.expand" in str(error.value)
    assert "plan" not in str(error.value)
    assert upgrade.wait_for_end() == "failed"


def test_an_answer_that_is_an_error_is_quoted(upgrade: ScheduledUpgrade) -> None:
    upgrade.run_id = "another"
    with pytest.raises(AssertionError, match=r"404 .*nobody here"):
        upgrade.state()
