"""Share the lab between tests: brought up once, put back to the source release for each run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import docker
import pytest

from lab import catalogue, engine, reset
from lab import up as bring_up
from lab.progress import Report
from lab.upgrade_run import activated_environment

SOURCE, TARGET = "12.0.3", "13.0.4"


@pytest.fixture(scope="session")
def lab() -> docker.DockerClient:
    """Bring the lab up at the source release; `make test` has set the machine up before."""
    with Report() as report:
        bring_up.up(SOURCE, TARGET, report)
    return engine.connect()


@pytest.fixture
def fresh_lab(lab: docker.DockerClient) -> docker.DockerClient:
    """Put the lab back to the source release."""
    release = catalogue.find_release(SOURCE)
    if reset.differences(lab, release):
        with Report() as report:
            reset.reset(lab, release, report)
    return lab


@pytest.fixture(scope="session")
def lab_connections(lab: docker.DockerClient) -> Iterator[None]:
    """Let hooks in this process find the lab's connections, as `source lab/activate` does."""
    before = dict(os.environ)
    os.environ.update(activated_environment())
    yield
    os.environ.clear()
    os.environ.update(before)
