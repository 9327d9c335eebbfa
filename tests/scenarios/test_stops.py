"""Break the cloud in the middle of an upgrade, and see it stop with measured value and limit."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from lab import database
from lab.topology import NODES
from lab.upgrade_run import UpgradeRun

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

ROOT = Path(__file__).resolve().parents[2]
RUN_SECONDS = 420.0
Events = list[dict[str, Any]]


def baseline_measured(events: Events) -> bool:
    return any(event["kind"] == "baseline" for event in events)


def step_began(name: str) -> Callable[[Events], bool]:
    return lambda events: any(
        event["kind"] == "step" and event["step"] == name and event["state"] == "started"
        for event in events
    )


def variable_set(events: Events) -> bool:
    return any(event["kind"] == "variable" for event in events)


def stop_keystone_without_drain(client: docker.DockerClient, run: UpgradeRun) -> None:
    code, output = client.containers.get(NODES[1].container).exec_run("service keystone stop")
    assert code == 0, output


def kill_locust(client: docker.DockerClient, run: UpgradeRun) -> None:
    assert run.directory is not None
    process = json.loads((run.directory / "load" / "1" / "process.json").read_text())
    os.kill(process["pid"], signal.SIGKILL)


def set_variable_back(client: docker.DockerClient, run: UpgradeRun) -> None:
    database.execute("SET GLOBAL log_bin_trust_function_creators = 0")


@dataclass(frozen=True)
class Fault:
    """One fault: when it strikes, and what the run has to say about it."""

    name: str
    moment: Callable[[Events], bool]
    strike: Callable[[docker.DockerClient, UpgradeRun], None]
    check: str
    measured: str
    limit: str


FAULTS = [
    Fault(
        "a node's uwsgi is stopped without drain",
        baseline_measured,
        stop_keystone_without_drain,
        "load failures",
        " failed of ",
        "0",
    ),
    Fault(
        "locust is killed in the middle",
        step_began("expand"),
        kill_locust,
        "load process",
        "has ended",
        "spawning or running",
    ),
    Fault(
        "the variable is set back by hand",
        variable_set,
        set_variable_back,
        "log_bin_trust_function_creators",
        "0",
        "1 from before expand until after contract",
    ),
]


def run_until(run: UpgradeRun, moment: Callable[[Events], bool]) -> None:
    end = time.monotonic() + RUN_SECONDS
    while not moment(run.events()):
        assert not run.ended(), f"the run ended before its moment, see {run.log}"
        assert time.monotonic() < end, f"the moment never came, see {run.log}"
        time.sleep(0.05)


def assert_stopped_safely(run: UpgradeRun, code: int) -> dict[str, Any]:
    """Every stop: red, variable restored, servers as they were, load ended, report written."""
    assert code != 0, f"the run ended green, see {run.log}"
    report = run.report()
    assert report["state"] == "failed"
    assert database.trust_function_creators() == 0
    assert any(event["kind"] == "load_stopped" for event in run.events())
    assert run.directory is not None
    assert (run.directory / "report.html").is_file()
    assert database.schema_versions()["keystone_contract"] == "24"
    return report


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_stops_the_upgrade(fresh_lab: docker.DockerClient, fault: Fault) -> None:
    run = UpgradeRun({"cloud": "lab", "auto_approve": True})
    run.start()
    run_until(run, fault.moment)
    fault.strike(fresh_lab, run)
    report = assert_stopped_safely(run, run.wait(RUN_SECONDS))
    found = [verdict for verdict in report["violated"] if verdict["check"] == fault.check]
    assert found, report["violated"]
    assert fault.measured in found[0]["measured"]
    assert found[0]["limit"] == fault.limit
    reasons = [step["reason"] for step in report["steps"] if step["state"] == "failed"]
    log = run.log.read_text(errors="replace")
    assert found[0]["measured"] in log, reasons


def test_a_phase_that_ends_below_the_head_stops_the_upgrade(
    fresh_lab: docker.DockerClient, tmp_path: Path
) -> None:
    """The image stands in for a fault: its --expand says it succeeded, and did nothing."""
    (tmp_path / "Dockerfile").write_text(
        "FROM keystone-rollout/upgrade:13.0.4\n"
        "RUN mv /usr/bin/keystone-manage /usr/bin/keystone-manage-real && printf "
        '\'#!/bin/sh\\ncase "$*" in *--expand*) exit 0;; esac\\n'
        'exec keystone-manage-real "$@"\\n\' > /usr/bin/keystone-manage '
        "&& chmod 755 /usr/bin/keystone-manage\n"
    )
    fresh_lab.images.build(path=str(tmp_path), tag="keystone-rollout/upgrade:idle", rm=True)
    cloud = yaml.safe_load((ROOT / "include" / "clouds" / "lab.yaml").read_text())
    cloud["upgrade_container"]["image"] = "keystone-rollout/upgrade:idle"
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(cloud))
    try:
        run = UpgradeRun({"cloud": "lab", "auto_approve": True}, clouds=tmp_path)
        run.start()
        report = assert_stopped_safely(run, run.wait(RUN_SECONDS))
    finally:
        fresh_lab.images.remove("keystone-rollout/upgrade:idle", force=True)
    reason = next(step["reason"] for step in report["steps"] if step["state"] == "failed")
    assert "measured keystone_expand at 24" in reason
    assert "limit: head 44" in reason
    assert report["load"]["failures"] == 0
