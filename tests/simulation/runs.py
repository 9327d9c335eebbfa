"""Run a DAG on a simulated cloud: walk it in an order of the seed's, until its end or its death."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import structlog
from airflow.providers.standard.operators import hitl
from airflow.sdk import DAG

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.release_report import NodeReport, RunningRelease
from keystone_rollout.domain.recovery.backup import BackupFacts
from keystone_rollout.domain.recovery.confirmation import phrase
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.hooks.files.cloud_file import load_cloud
from tests.simulation.attempt import Attempts
from tests.simulation.outside import SimulatedOutside, put_in
from tests.simulation.site import HEADS, SOURCE, TARGET, Site
from tests.simulation.walker import Key, State, Walk
from tests.simulation.world import Fault, World

MOST_ATTEMPTS = 2000
MEMORY = Path("/dev/shm")


@cache
def simulated_cloud() -> Cloud:
    """Return the lab's cloud with a second load balancer, parsed once."""
    cloud = load_cloud("lab")
    first = cloud.load_balancers[0]
    limits = cloud.limits.model_copy(
        update={"load": cloud.limits.load.model_copy(update={"min_requests": 500})}
    )
    both = [first, first.model_copy(update={"name": "haproxy-2", "connection": "lab_haproxy_2"})]
    return cloud.model_copy(update={"load_balancers": both, "limits": limits})


@cache
def default_params(dag: DAG) -> dict[str, Any]:
    """Return what a form holds that nobody has filled in."""
    return {name: dag.params[name] for name in dag.params}


class RunLost(Exception):
    """The machine that runs Airflow died."""


@dataclass
class Ended:
    """One run that has ended, or died."""

    run_id: str
    dag_id: str
    state: State | None
    """None if it died."""
    said: dict[Key, str]
    walk: Walk
    began: int
    """The number of its first effect."""

    @property
    def green(self) -> bool:
        return self.state is State.SUCCESS

    def __str__(self) -> str:
        said = "; ".join(f"{key.task_id}: {text[:500]}" for key, text in self.said.items())
        return f"{self.dag_id} {self.state or 'died'} ({said or 'nothing said'})"


@dataclass
class Simulation:
    """One cloud, and the runs on it, one after another."""

    dags: dict[str, DAG]
    outside: SimulatedOutside
    order: random.Random

    @property
    def site(self) -> Site:
        return self.outside.site

    @property
    def world(self) -> World:
        return self.site.world

    def run(self, dag_id: str, run_id: str, **given: Any) -> Ended:
        """Run a DAG to its end, or to the death of its Airflow."""
        dag, began = self.dags[dag_id], len(self.world.effects)
        params = default_params(dag) | {"cloud": "lab", **given}
        attempts = Attempts(dag, run_id, params, self.outside)
        walk = attempts.walk = Walk(dag, attempts, lambda ready: self._choose(attempts, ready))
        self.site.run_id, self.world.run_lost = run_id, False
        state: State | None = None
        with suppress(RunLost):
            state = walk.run(MOST_ATTEMPTS)
        return Ended(run_id, dag_id, state, attempts.said, walk, began)

    def _choose(self, attempts: Attempts, ready: list[Key]) -> Key:
        if self.world.run_lost:
            raise RunLost
        due = [key for key in ready if attempts.not_before.get(key, 0.0) <= self.world.passed]
        if not due:
            first = min(attempts.not_before[key] for key in ready)
            self.world.advance(first - self.world.passed)
            due = [key for key in ready if attempts.not_before[key] <= self.world.passed]
        return self.order.choice(due)

    def was_upgraded(self, contracted: bool) -> None:
        """Let an upgrade have come as far as contract, or past it."""
        site, folder = self.site, self.outside.folder
        for node in site.nodes.values():
            node.installed = node.configured = node.runs = TARGET
            node.kept = {SOURCE, TARGET}
            node.noted = node.report(self.world.passed)
        site.backups["before.sql"] = site.live.copy("before.sql")
        reports = {name: NodeReport(RunningRelease(SOURCE, running=True)) for name in site.nodes}
        facts = BackupFacts(site.cloud.name, "keystone", site.world.now(), reports)
        site.described["before.sql"] = facts
        (folder / "before.sql").touch()
        site.live.versions |= {
            phase: HEADS[phase] for phase in Phase if contracted or phase is not Phase.CONTRACT
        }
        site.live.rows += 100

    def upgrade(self, run_id: str, **given: Any) -> Ended:
        return self.run("keystone_upgrade", run_id, **{"auto_approve": True, **given})

    def rollback(self, run_id: str, **given: Any) -> Ended:
        return self.run("keystone_rollback", run_id, **given)

    def restore(self, run_id: str, **given: Any) -> Ended:
        backup = next(iter(self.site.described), "")
        agreed = {"confirm": phrase(backup, 10**6), "backup": backup}
        return self.run("keystone_restore", run_id, **(agreed | given))

    def run_again(self, dag_id: str, run_id: str, before: str) -> Ended:
        """Run a DAG as a person would after a run that ended red, or died."""
        by_name = {"keystone_upgrade": self.upgrade, "keystone_rollback": self.rollback,
                   "keystone_restore": self.restore}  # fmt: skip
        return by_name[dag_id](run_id, break_lock=before)


@contextmanager
def quiet() -> Iterator[None]:
    """Log nothing, and let preflight find the one connection that it looks up itself."""
    api = {"conn_type": "http", "host": "http://127.0.0.1:5000/v3"}
    before, level = structlog.get_config(), logging.root.manager.disable
    structlog.configure(
        **{**before, "wrapper_class": structlog.make_filtering_bound_logger(logging.CRITICAL)}
    )
    logging.disable(logging.CRITICAL)
    try:
        with patch.dict(os.environ, {"AIRFLOW_CONN_LAB_KEYSTONE_API": json.dumps(api)}):
            yield
    finally:
        structlog.configure(**before)
        logging.disable(level)


@contextmanager
def simulation(
    dags: dict[str, DAG], seed: int = 0, strikes: dict[int, Fault] | None = None
) -> Iterator[Simulation]:
    """Give a cloud that stands at the source release, and whose faults are planned."""
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None))
    outside = SimulatedOutside(Site(World(strikes or {}), simulated_cloud()), folder, seed)
    try:
        with put_in(outside), quiet(), patch.object(hitl, "upsert_hitl_detail"):
            yield Simulation(dags, outside, random.Random(seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
