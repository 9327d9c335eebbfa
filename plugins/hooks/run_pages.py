"""Find the pages that runs have written, for whoever asks with a browser; nothing else is found."""

from __future__ import annotations

from pathlib import Path

from hooks.run_directory import folder_name, runs_folder

PREFIX = "/rollout"
"""Where the pages are mounted in Airflow's api-server."""

OF_A_RUN = ("report.html", "report.json", "plan.html", "plan.txt", "plan.json")
OF_ALL_RUNS = ("history.html", "history.json")


def run_page_address(run_id: str, page: str) -> str:
    """Return the address of a run's page, from the api-server's root on."""
    return f"{PREFIX}/runs/{folder_name(run_id)}/{page}"


def run_page(run_id: str, page: str) -> Path | None:
    """Return a run's page, or None where there is none.

    ``run_id`` is a run's id or its folder's name. A name that leads out of the folder of all runs
    leads nowhere, nor does a link that somebody has put there.
    """
    return _inside(runs_folder() / folder_name(run_id), page) if page in OF_A_RUN else None


def shared_page(page: str) -> Path | None:
    """Return a page about all runs, or None where there is none."""
    return _inside(runs_folder(), page) if page in OF_ALL_RUNS else None


def _inside(folder: Path, page: str) -> Path | None:
    path = folder / page
    expected = runs_folder().resolve() / folder.relative_to(runs_folder()) / page
    try:
        return path if path.is_file() and path.resolve() == expected else None
    except OSError:  # a name that is too long for any file
        return None
