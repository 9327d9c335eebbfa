"""Fixtures of this folder: the real lab, and the campaign that a module's faults belong to."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from lab.paths import STATE
from tests.lab_fixtures import lab
from tests.scenarios.campaign import Campaign
from tests.scenarios.outcome_table import Outcome, terminal_lines, write

__all__ = ["campaign", "lab", "outcomes"]

OUTCOMES: list[Outcome] = []


@pytest.fixture(scope="session")
def outcomes() -> list[Outcome]:
    """Return the list that becomes the table at the end."""
    return OUTCOMES


@pytest.fixture(scope="module")
def campaign(
    request: pytest.FixtureRequest,
    lab: docker.DockerClient,
    outcomes: list[Outcome],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Campaign]:
    """Begin the campaign of a module: its FAULTS, from where its START puts the lab."""
    folder = tmp_path_factory.mktemp(request.module.__name__.rsplit(".", 1)[-1])
    faults, start = request.module.FAULTS, request.module.START
    with Campaign(lab, faults, start, folder, outcomes).open() as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what became of each fault, and write it down."""
    if not OUTCOMES:
        return
    terminalreporter.section("faults")
    for line in terminal_lines(OUTCOMES):
        terminalreporter.write_line(line)
    for path in write(OUTCOMES, STATE):
        terminalreporter.write_line(f"written: {path}")
