"""Share the lab between tests: brought up once, reset to the source release for each run."""

from __future__ import annotations

import json

import docker
import pytest

from lab import reset
from lab import up as bring_up
from lab.cloud import secrets
from lab.cloud.connections import all_connections
from lab.hop import Hop, plan_hop
from machine import engine
from machine.progress import Report

SOURCE, TARGET = "12.0.3", "13.0.4"


def lab_hop() -> Hop:
    """Return the upgrade that the tests need the lab for."""
    return plan_hop(SOURCE, TARGET)


@pytest.fixture(scope="session")
def lab() -> docker.DockerClient:
    """Bring the lab up at the source release; `make test` has set the machine up before."""
    with Report() as report:
        bring_up.up(lab_hop(), report)
    return engine.connect()


@pytest.fixture
def fresh_lab(lab: docker.DockerClient) -> docker.DockerClient:
    """Reset the lab to the source release."""
    put_at_source(lab)
    return lab


def put_at_source(client: docker.DockerClient) -> None:
    """Reset the lab to the source release, unless it stands there."""
    source = lab_hop().source
    if reset.differences(client, source):
        with Report() as report:
            reset.reset(client, source, report)


@pytest.fixture
def lab_connections(lab: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hooks in this process find the lab's connections."""
    for name, connection in all_connections(secrets.load()).items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
