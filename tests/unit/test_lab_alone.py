"""What needs the lab runs alone and last, however many processes run the rest."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CONFTEST = """
import os
from pathlib import Path
import pytest
from tests import lab_alone

def pytest_configure(config):
    config.addinivalue_line("markers", "lab: needs the lab")
    config.pluginmanager.register(lab_alone)

@pytest.fixture(autouse=True)
def noted(request):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "-")
    with Path("log").open("a") as log:
        log.write(f"{worker} {request.node.name} begins\\n")
        log.flush()
        yield
        log.write(f"{worker} {request.node.name} ends\\n")

@pytest.fixture(scope="module")
def shared():
    with Path("log").open("a") as log:
        log.write("- shared begins\\n")
    yield
    with Path("log").open("a") as log:
        log.write("- shared ends\\n")
"""

MIXED = """
import pytest

def test_first():
    pass

@pytest.mark.lab
@pytest.mark.parametrize("value", ["x y", "a/b::c"])
def test_in_the_lab(value, shared):
    assert value

def test_last():
    pass
"""

PLAIN = """
import os

def test_plain():
    assert "FAILS" not in os.environ
"""

LAB = """
import os, pytest
pytestmark = pytest.mark.lab

def test_long():
    assert "LAB_FAILS" not in os.environ

def test_short():
    pass
"""

LABS = ["test_in_the_lab[x y]", "test_in_the_lab[a/b::c]", "test_long", "test_short"]
OTHERS = {"test_first", "test_last", "test_plain"}


@dataclass(frozen=True)
class Run:
    """Hold how pytest ended, what it printed, and who ran what: (worker, test, what)."""

    status: int
    output: str
    log: list[tuple[str, str, str]]

    @property
    def begun(self) -> list[tuple[str, str]]:
        """Return worker and name of each test, in the order of their begin."""
        return [(who, what) for who, what, how in self.log if how == "begins" and what != "shared"]

    @property
    def summaries(self) -> list[str]:
        """Return every line that counts tests."""
        return re.findall(r"^=+ (\d.*) in [\d.]+s.* =+$", self.output, re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "conftest.py": CONFTEST, "test_a.py": MIXED, "test_b.py": LAB, "test_c.py": PLAIN,
        "pytest.ini": f"[pytest]\npythonpath = {ROOT}\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *options: str, **variables: str) -> Run:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:locust", *options],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    log = folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    entries = [(line.split()[0], line.split(" ", 1)[1].rsplit(" ", 1)) for line in lines]
    noted = [(who, what, how) for who, (what, how) in entries]
    return Run(done.returncode, done.stdout + done.stderr, noted)


def test_the_labs_tests_follow_all_others_in_one_process_and_one_summary(folder: Path) -> None:
    done = run(folder, "-n", "2", "--dist", "loadfile")
    assert done.status == 0, done.output
    workers, alone = done.begun[:3], done.begun[3:]
    assert {test for _, test in workers} == OTHERS
    assert {worker for worker, _ in workers} == {"gw0", "gw1"}
    assert alone == [("-", test) for test in LABS]
    # Nothing of a worker is open when the first of them begins; a module's fixture is made once.
    ended = [what for _, what, how in done.log[:6] if how == "ends"]
    assert set(ended) == OTHERS
    assert [what for _, what, _ in done.log].count("shared") == 2
    assert done.summaries == ["7 passed"]


@pytest.mark.parametrize(
    ("variable", "failed"),
    [("FAILS", "test_c.py::test_plain"), ("LAB_FAILS", "test_b.py::test_long")],
)
def test_a_failure_of_either_part_is_red_and_ends_neither(
    folder: Path, variable: str, failed: str
) -> None:
    done = run(folder, "-n", "2", **{variable: "yes"})
    assert done.status == 1
    assert len(done.begun) == 7
    assert done.summaries == ["1 failed, 6 passed"]
    assert f"FAILED {failed}" in done.output


def test_the_first_failure_ends_it_where_that_is_asked_for(folder: Path) -> None:
    done = run(folder, "-n", "2", "-x", FAILS="yes")
    assert done.status != 0
    assert not {test for _, test in done.begun} & set(LABS)
    (folder / "log").unlink()
    done = run(folder, "-n", "2", "-x", LAB_FAILS="yes")
    assert done.status != 0
    assert "test_short" not in {test for _, test in done.begun}


def test_what_is_asked_for_is_run_and_no_more(folder: Path) -> None:
    done = run(folder, "-n", "2", "test_a.py::test_in_the_lab[x y]", "test_c.py")
    assert done.status == 0, done.output
    assert {test for _, test in done.begun} == {"test_in_the_lab[x y]", "test_plain"}
    (folder / "log").unlink()
    done = run(folder, "-n", "2", "-m", "not lab")
    assert done.status == 0, done.output
    assert {test for _, test in done.begun} == OTHERS
    (folder / "log").unlink()
    done = run(folder, "-n", "2", "-m", "lab")
    assert done.status == 0, done.output
    assert done.begun == [("-", test) for test in LABS]


def test_without_workers_it_is_the_order_of_the_files(folder: Path) -> None:
    done = run(folder)
    assert done.status == 0, done.output
    assert {worker for worker, _ in done.begun} == {"-"}
    assert [test for _, test in done.begun] == [
        "test_first", *LABS[:2], "test_last", *LABS[2:], "test_plain",
    ]  # fmt: skip
    assert done.summaries == ["7 passed"]
