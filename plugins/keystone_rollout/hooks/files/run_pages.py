"""Find the pages that runs have written, for browsers; nothing else is found.

Addresses have the shape of the folders, so that a page's relative links lead to the same pages
when it is opened as a file.
"""

from __future__ import annotations

from pathlib import Path

from keystone_rollout.hooks.files.run_directory import rehearsals_folder, runs_folder
from keystone_rollout.hooks.files.run_identity import folder_name, run_folder

PREFIX = "/rollout"
"""Where the pages are mounted in Airflow's api-server."""

HISTORY = "history.html"
LOAD_PAGE = "load.html"
"""The one page that is no file: it is made from what the load has written so far."""
OF_A_RUN = ("report.html", "report.json", "plan.html", "plan.txt", "plan.json")
OF_A_HISTORY = (HISTORY, "history.json")
OF_A_REHEARSAL = ("report.html", "report.json")


def run_page_address(run_id: str, page: str, dag: str = "") -> str:
    """Return the address of a run's page, from the api-server's root on; see run_folder."""
    return f"{PREFIX}/runs/{run_folder(runs_folder(), run_id, dag).name}/{page}"


def history_address(cloud: str) -> str:
    """Return the address of a cloud's rehearsals, from the api-server's root on."""
    return f"{PREFIX}/history/{folder_name(cloud)}/{HISTORY}"


def run_page(run_id: str, page: str) -> Path | None:
    """Return a run's page, or None without one.

    ``run_id`` is a run's id or its folder's name. A name or a link that leads out of the folder of
    all runs is not followed.
    """
    if page not in OF_A_RUN:
        return None
    return _inside(runs_folder(), folder_name(run_id), page)


def load_sessions(run_id: str) -> list[int] | None:
    """Return the numbers of a run's load sessions, the newest last; None if there is no such run.

    See run_page about names and links.
    """
    run = _real(runs_folder(), folder_name(run_id))
    if run is None or not run.is_dir():
        return None
    load = _real(run, "load")
    names = [path.name for path in load.iterdir()] if load and load.is_dir() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def load_text(run_id: str, session: int, name: str) -> str:
    """Return what a load session has written into a file so far; empty if it has none."""
    path = _inside(runs_folder(), folder_name(run_id), "load", str(session), name)
    return path.read_text(encoding="utf-8", errors="replace") if path else ""


def history_page(cloud: str, page: str) -> Path | None:
    """Return the history of a cloud's rehearsals, or None without one; see run_page."""
    if page not in OF_A_HISTORY:
        return None
    return _inside(rehearsals_folder(), folder_name(cloud), page)


def rehearsal_page(cloud: str, rehearsal: str, page: str) -> Path | None:
    """Return a page of one rehearsal in a history, or None without one; see run_page."""
    if page not in OF_A_REHEARSAL:
        return None
    return _inside(rehearsals_folder(), folder_name(cloud), folder_name(rehearsal), page)


def _inside(folder: Path, *names: str) -> Path | None:
    path = _real(folder, *names)
    return path if path and path.is_file() else None


def _real(folder: Path, *names: str) -> Path | None:
    """Return what is there and no link, nor below one."""
    path = folder.joinpath(*names)
    try:
        expected = folder.resolve().joinpath(*names)
        return path if path.exists() and path.resolve() == expected else None
    except OSError:  # a name that is too long for any file
        return None
