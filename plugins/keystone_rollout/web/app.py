"""Serve the pages of runs in Airflow's api-server: read-only, to users who may read runs there."""

from __future__ import annotations

from pathlib import Path

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse

from keystone_rollout.hooks.files.run_pages import (
    LOAD_PAGE,
    history_page,
    rehearsal_page,
    run_page,
)
from keystone_rollout.procedures.load.page import live_page

DAG = "keystone_upgrade"
"""A user who may read this DAG's runs may read the pages of all DAGs here."""

HEADERS = {
    # A page shows answers of nodes and databases. If a script ever gets into it that way, it has
    # neither Airflow's cookie nor an address to send anything to.
    "Content-Security-Policy": "sandbox allow-scripts allow-popups allow-downloads; "
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; font-src data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app() -> FastAPI:
    """Return the application, without FastAPI's documentation pages, which would be public."""
    app = FastAPI(
        title="Keystone rollout",
        openapi_url=None,
        dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, DAG))],
    )

    @app.get(f"/runs/{{run_id}}/{LOAD_PAGE}")
    def a_load(run_id: str) -> HTMLResponse:
        page = live_page(run_id)
        if page is None:
            raise _missing(f"there is no run {run_id}")
        return HTMLResponse(page, headers=HEADERS)

    @app.get("/runs/{run_id}/{page}")
    def a_run(run_id: str, page: str) -> FileResponse:
        return _answer(run_page(run_id, page), f"run {run_id} has no {page}")

    @app.get("/history/{cloud}/{page}")
    def a_history(cloud: str, page: str) -> FileResponse:
        return _answer(history_page(cloud, page), f"cloud {cloud} has no {page}")

    @app.get("/history/{cloud}/{rehearsal}/{page}")
    def a_rehearsal(cloud: str, rehearsal: str, page: str) -> FileResponse:
        found = rehearsal_page(cloud, rehearsal, page)
        return _answer(found, f"rehearsal {rehearsal} of cloud {cloud} has no {page}")

    @app.get("/{path:path}")
    def anything_else(path: str) -> FileResponse:
        # A user who is not logged in is told so here, too, and nothing else.
        return _answer(None, f"there is no {path}")

    return app


def _answer(path: Path | None, missing: str) -> FileResponse:
    if path is None:
        raise _missing(missing)
    return FileResponse(path, headers=HEADERS)


def _missing(what: str) -> HTTPException:
    return HTTPException(
        404,
        f"{what}. It is not written yet, or the api-server sees another folder of runs than the "
        "tasks do. Next: wait for the run's end, or compare ROLLOUT_RUNS of both",
    )
