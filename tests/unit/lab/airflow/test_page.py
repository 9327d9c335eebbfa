"""Airflow's components start, one can be killed and started again, and all of them end."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from lab import paths
from lab.airflow import environment as airflow
from lab.airflow import page as airflow_page
from lab.airflow.page import COMPONENTS, Components
from machine.errors import CommandError

AIRFLOW = """\
import os, pathlib, subprocess, sys, time
if sys.argv[1:] == ["db", "migrate"]:
    sys.exit()
folder = pathlib.Path(os.environ["STARTED"])
child = subprocess.Popen(["sleep", "60"])
print("started", flush=True)
(folder / f"{sys.argv[1]}-{os.getpid()}").write_text(str(child.pid))
time.sleep(60)
"""


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let `python -m airflow` be a program that starts a child, and stays."""
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "__init__.py").touch()
    (tmp_path / "airflow" / "__main__.py").write_text(AIRFLOW)
    (tmp_path / "started").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setattr(airflow_page, "UI_PORT", int(probe.getsockname()[1]))
    monkeypatch.setattr(paths, "LOG", tmp_path)
    return {
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "STARTED": str(tmp_path / "started"),
    }


def children(folder: Path, name: str, count: int) -> list[int]:
    """Return the children of a component, as soon as so many of it have started."""
    end = time.monotonic() + 20
    while True:
        texts = [path.read_text() for path in folder.glob(f"{name}-*")]
        if len(texts) == count and all(texts):
            return [int(text) for text in texts]
        assert time.monotonic() < end, f"{name}: {texts}"
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that has ended may not be collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_component_leaves_its_children_until_the_end(
    variables: dict[str, str], tmp_path: Path
) -> None:
    started = tmp_path / "started"
    with Components(variables) as components:
        first = {name: children(started, name, 1)[0] for name in COMPONENTS}
        assert components.ended() is None
        components.kill("scheduler")
        assert runs(first["scheduler"]), "a scheduler that dies does not end its tasks"
        components.start("scheduler")
        both = children(started, "scheduler", 2)
        assert components.ended() is None
        assert (tmp_path / "airflow-scheduler.log").read_text() == "started\nstarted\n"
    everybody = {*first.values(), *both}
    end = time.monotonic() + 5
    while any(runs(pid) for pid in everybody):
        assert time.monotonic() < end, "a component's child outlives the end"
        time.sleep(0.05)


def test_a_component_that_ends_by_itself_is_named(
    variables: dict[str, str], tmp_path: Path
) -> None:
    with Components(variables) as components:
        children(tmp_path / "started", "triggerer", 1)
        process = components._processes["triggerer"]
        process.terminate()
        process.wait()
        ended = components.ended()
    assert ended is not None
    assert ended[0] == "triggerer"


def test_an_occupied_port_is_refused_before_anything_starts(
    variables: dict[str, str], tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", airflow_page.UI_PORT))
        taken.listen()
        with pytest.raises(CommandError, match="is in use by another process"):
            Components(variables).__enter__()
    assert list((tmp_path / "started").iterdir()) == []


def test_the_page_asks_for_a_login_only_where_that_is_wanted(tmp_path: Path) -> None:
    assert airflow.ui_environment({})[airflow.ALL_ADMINS] == "True"
    wanted = airflow.ui_environment({airflow.ALL_ADMINS: "False"}, tmp_path)
    assert wanted[airflow.ALL_ADMINS] == "False"
    assert wanted["AIRFLOW_HOME"] == str(tmp_path), "not beside the runs of make ui"
