"""Faults of the upgrade itself: a run that is killed, a second one, a load that hangs or is odd."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import docker

from lab.airflow.process import AirflowProcess, AirflowSite
from lab.airflow.upgrade_run import UpgradeRun
from lab.paths import STATE
from tests.scenarios import moments
from tests.scenarios.aftermath import count_locks, words_of
from tests.scenarios.fault import Preparation
from tests.scenarios.lab_nodes import TARGET
from tests.scenarios.scenario_cloud import write_cloud
from tests.scenarios.scene import Scene

SECOND = AirflowSite(STATE / "airflow-second", STATE / "runs-second")
"""Another Airflow of the same lab, as on another machine."""

REFUSED_SECONDS = 120.0
IDLE_IMAGE = "keystone-rollout/upgrade:idle"


@contextmanager
def killed(scene: Scene) -> Iterator[None]:
    """End the run with SIGKILL, at once."""
    scene.run.kill()
    yield


@contextmanager
def killed_a_moment_later(scene: Scene) -> Iterator[None]:
    """End the run with SIGKILL after a second: in the middle of what it has just begun."""
    time.sleep(1)
    scene.run.kill()
    yield


@contextmanager
def second_run_is_refused(scene: Scene) -> Iterator[None]:
    """Start the same upgrade from another Airflow; AssertionError unless the lock stops it."""
    second = UpgradeRun(
        scene.run.params,
        write_cloud(scene.cloud, scene.folder / "second"),
        environment=scene.lines.environment,
        airflow=AirflowProcess(SECOND),
    )
    second.params.pop("break_lock", None)
    scene.other_runs.append(second)
    second.start()
    try:
        code = second.wait(REFUSED_SECONDS)
    finally:
        second.kill()
    assert code != 0, f"two upgrades of one cloud went on at once, see {second.log}"
    found = moments.verdicts(second.events(), "upgrade lock")
    held = [one for one in found if not one["ok"]]
    assert held, f"the second run was not refused by the lock, see {second.log}"
    wanted = f"held by run {scene.run.run_id} of "
    assert wanted in held[0]["measured"], held[0]["measured"]
    assert f":{scene.run.airflow.site.home} since " in held[0]["measured"], held[0]["measured"]
    assert " s ago" in held[0]["measured"], held[0]["measured"]
    assert held[0]["measured"] in words_of(second), f"not in its log, see {second.log}"
    assert second.report().get("state") == "failed", f"no report of {second.log}"
    assert not scene.run.ended(), f"the first run did not go on, see {scene.run.log}"
    assert count_locks() == 1, f"{count_locks()} locks while one run goes on"
    yield


@contextmanager
def locust_hangs(scene: Scene) -> Iterator[None]:
    """Stop the load's process, without ending it, until a gate has found out."""
    process = scene.load_process()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        scene.until(moments.violated("load process"), 90)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
    yield


@contextmanager
def expand_that_does_nothing(preparation: Preparation) -> Iterator[None]:
    """Upgrade with an image whose `db_sync --expand` says that it succeeded, and did nothing.

    The image stands in for the fault: all else in it is the target release's own.
    """
    folder = preparation.folder / "idle"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        f"FROM keystone-rollout/upgrade:{TARGET}\n"
        "RUN mv /usr/bin/keystone-manage /usr/bin/keystone-manage-real && printf "
        '\'#!/bin/sh\\ncase "$*" in *--expand*) exit 0;; esac\\n'
        'exec keystone-manage-real "$@"\\n\' > /usr/bin/keystone-manage '
        "&& chmod 755 /usr/bin/keystone-manage\n"
    )
    preparation.client.images.build(path=str(folder), tag=IDLE_IMAGE, rm=True)
    try:
        preparation.cloud["upgrade_container"]["image"] = IDLE_IMAGE
        yield
    finally:
        with suppress(docker.errors.ImageNotFound):
            preparation.client.images.remove(IDLE_IMAGE, force=True)
