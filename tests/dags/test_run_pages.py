"""The pages of runs, asked for over HTTP from Airflow's own api-server with the plugin in it.

Paths are sent as they are written here: a client that tidies them up would prove nothing.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest
import uvicorn
from airflow.sdk import DAG

from keystone_rollout.domain.load.state import LoadState
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.hooks.files.run_pages import history_address
from keystone_rollout.web.links import LoadLink, report_address

RUN = "manual__2026-03-01T10:00:00+00:00"
FOLDER = "manual__2026-03-01T10_00_00_00_00"
SECRET = "nobody may read this"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of all runs, with rehearsals and secrets beside it, and links to these."""
    outside = tmp_path_factory.mktemp("outside")
    for name in ("report.html", "history.html", "secret.txt"):
        (outside / name).write_text(SECRET)
    kept = RunDirectory("lab", outside / "rehearsals")
    kept.write_text("history.html", '<a href="night_1/report.html">report</a>')
    kept.write_text("history.json", '{"rehearsals": []}')
    kept.write_text("connections.yaml", SECRET)
    RunDirectory("night_1", kept.path).write_text("report.html", "<p>what was kept</p>")
    RunDirectory("night_1", kept.path).write_text("plan.html", SECRET)
    (outside / "rehearsals" / "history.html").write_text(SECRET)
    (outside / "rehearsals" / "report.html").write_text(SECRET)
    (outside / "rehearsals" / "linked").symlink_to(outside)
    (kept.path / "linked").symlink_to(outside)
    folder = outside / "runs"
    run = RunDirectory(RUN, folder)
    run.write_text("report.html", "<p>the report</p>")
    run.write_text("report.json", '{"state": "succeeded"}')
    run.write_text("connections.yaml", SECRET)
    (run.load / "1").mkdir(parents=True)
    (run.load / "1" / "state.json").write_text(LoadState("quit", 0, 0.0).to_text())
    (outside / "load" / "1").mkdir(parents=True)
    (outside / "load" / "1" / "failures.jsonl").write_text(f"{SECRET}\n")
    (folder / "history.html").write_text(SECRET)
    (folder / "events.jsonl").write_text(SECRET)
    (folder / "linked").symlink_to(outside)
    (folder / "linked-page").mkdir()
    (folder / "linked-page" / "report.html").symlink_to(outside / "secret.txt")
    (folder / "a-folder" / "report.html").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROLLOUT_RUNS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def port(initialised_airflow: Path, runs: Path) -> Iterator[int]:
    """Serve Airflow's api-server on a free port."""
    from airflow.api_fastapi.app import create_app

    server = uvicorn.Server(
        uvicorn.Config(create_app("core"), host="127.0.0.1", port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        end = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive(), "the api-server has ended"
            assert time.monotonic() < end, "the api-server does not start"
            time.sleep(0.05)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)


def token(role: str | None) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="somebody", role=role))


def ask(
    port: int, path: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> tuple[int, str, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def cookie(role: str | None = "viewer") -> dict[str, str]:
    return {"Cookie": f"_token={token(role)}"}


@pytest.mark.parametrize("name", [FOLDER, RUN, RUN.replace(":", "%3A").replace("+", "%2B")])
def test_whoever_is_logged_in_reads_a_report_by_its_run(port: int, name: str) -> None:
    status, text, headers = ask(port, f"/rollout/runs/{name}/report.html", cookie())
    assert (status, text) == (200, "<p>the report</p>")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy


@pytest.mark.parametrize("name", [FOLDER, RUN])
def test_whoever_is_logged_in_sees_the_load_of_a_run(port: int, name: str) -> None:
    status, text, headers = ask(port, f"/rollout/runs/{name}/load.html", cookie())
    assert status == 200
    assert "Session 1 ended at" in text
    assert "allow-same-origin" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    address = report_address(RUN, LoadLink.page)
    assert address == f"/rollout/runs/{FOLDER}/load.html"
    assert ask(port, address, cookie())[0] == 200


def test_data_is_there_too(port: int) -> None:
    bearer = {"Authorization": f"Bearer {token('viewer')}"}
    status, text, headers = ask(port, f"/rollout/runs/{FOLDER}/report.json", bearer)
    assert (status, text) == (200, '{"state": "succeeded"}')
    assert headers["Content-Type"] == "application/json"
    assert ask(port, "/rollout/history/lab/history.json", bearer)[:2] == (
        200,
        '{"rehearsals": []}',
    )


def test_the_history_of_a_cloud_leads_to_the_reports_that_it_keeps(port: int) -> None:
    address = history_address("lab")
    status, text, headers = ask(port, address, cookie())
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("sandbox ")
    (link,) = re.findall('href="(.*?)"', text)
    assert ask(port, urljoin(address, link), cookie())[:2] == (200, "<p>what was kept</p>")


def test_a_cloud_without_rehearsals_says_so(port: int) -> None:
    status, text, _ = ask(port, history_address("other"), cookie())
    assert status == 404
    assert "cloud other has no history.html. It is not written yet" in text


@pytest.mark.parametrize(
    "path",
    [f"/rollout/runs/{FOLDER}/report.html", "/rollout/runs/none/x",
     f"/rollout/runs/{FOLDER}/load.html", "/rollout/runs/none/load.html", "/rollout/anything",
     "/rollout/history/lab/history.html", "/rollout/history/lab/night_1/report.html",
     "/rollout/history/none/none/none", "/rollout/any/thing/at/all", "/rollout/"],
)  # fmt: skip
def test_nobody_else_learns_even_what_is_there(port: int, path: str) -> None:
    assert ask(port, path)[0] == 401
    assert ask(port, path, {"Cookie": "_token=made-up"})[0] == 403
    assert ask(port, path, {"Authorization": "Bearer made-up"})[0] == 403
    assert ask(port, path, cookie(role=None))[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "runs/../report.html",
        "runs/%2e%2e/report.html",
        "runs/%2E%2E/report.html",
        "runs/./report.html",
        "runs/%2e/history.html",
        "runs/..%2f..%2foutside/report.html",
        "runs/%2e%2e%2f/report.html",
        "runs/..%5c..%5c/report.html",
        "runs/%252e%252e/report.html",
        "runs/linked/report.html",
        "runs/../load.html",
        "runs/%2e%2e/load.html",
        "runs/..%2f../load.html",
        "runs/linked/load.html",
        "runs/history.html/load.html",
        "runs/none/load.html",
        f"runs/{FOLDER}/load/1/state.json",
        f"runs/{FOLDER}/load%2f1%2fstate.json",
        f"runs/{'x' * 5000}/load.html",
        "runs/linked-page/report.html",
        "runs/a-folder/report.html",
        f"runs/{FOLDER}/..%2f..%2fsecret.txt",
        f"runs/{FOLDER}/%2e%2e/%2e%2e/secret.txt",
        f"runs/{FOLDER}/connections.yaml",
        f"runs/{FOLDER}/report.html%00",
        f"runs/{FOLDER}%00/report.html",
        "runs//report.html",
        "runs/%20/report.html",
        f"runs/{'x' * 5000}/report.html",
        "history/../history.html",
        "history/%2e%2e/history.html",
        "history/%2e/history.html",
        "history/lab/../history.html",
        "history/lab/%2e%2e/history.html",
        "history/lab/%2e%2e/report.html",
        "history/lab/%2e/report.html",
        "history/lab/..%2f..%2freport.html",
        "history/..%2f/history.html",
        "history/linked/history.html",
        "history/linked/runs/report.html",
        "history/lab/linked/report.html",
        "history/lab/connections.yaml",
        "history/lab/night_1/plan.html",
        "history/lab%00/history.html",
        f"history/{'x' * 5000}/history.html",
        f"history/lab/{'x' * 5000}/report.html",
        "history//history.html",
        "history.html",
        "../secret.txt",
        "%2e%2e%2fhistory.html",
        "..%2fhistory.html",
        "events.jsonl",
        "openapi.json",
        "docs",
    ],
)
def test_a_name_never_leads_out_of_the_folders_of_runs_and_rehearsals(port: int, path: str) -> None:
    status, text, _ = ask(port, f"/rollout/{path}", cookie("admin"))
    assert SECRET not in text
    assert status == 404


def test_a_page_that_is_missing_says_what_to_do(port: int) -> None:
    status, text, _ = ask(port, "/rollout/runs/other/report.html", cookie())
    assert status == 404
    assert "run other has no report.html. It is not written yet, or the api-server sees" in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_is_read_only(port: int, runs: Path, method: str) -> None:
    before = (runs / FOLDER / "report.html").read_text()
    path = f"/rollout/runs/{FOLDER}/report.html"
    assert ask(port, path, cookie("admin"), method)[0] == 405
    assert (runs / FOLDER / "report.html").read_text() == before


def test_a_task_that_loads_the_plugin_does_not_load_the_api_server() -> None:
    code = """
import sys
from airflow import plugins_manager

plugins_manager.ensure_plugins_loaded()
plugins, errors = plugins_manager._get_plugins()
assert [one.name for one in plugins] == ["keystone_rollout"], plugins
assert not errors, errors
assert "keystone_rollout.web.app" not in sys.modules
assert "operators" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reports_link_leads_to_the_report(port: int) -> None:
    address = report_address(RUN, "report.html")
    assert address == f"/rollout/runs/{FOLDER}/report.html"
    assert ask(port, address, cookie())[:2] == (200, "<p>the report</p>")


def test_a_task_that_has_ended_is_linked_to_its_page(
    port: int, runs: Path, dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(runs / "no clouds"))
    run = dags["keystone_plan"].test(run_conf={"cloud": "lab"})
    name = quote(run.run_id, safe="")
    path = f"/api/v2/dags/keystone_plan/dagRuns/{name}/taskInstances/write_plan/links"
    status, text, _ = ask(port, path, cookie("admin"))
    assert status == 200, text
    (address,) = json.loads(text)["extra_links"].values()
    status, text, _ = ask(port, address, cookie())
    assert status == 200
    assert ": plan of Keystone " in text
