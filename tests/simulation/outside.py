"""Everything outside of a simulated run: its records, its load, and a cloud's systems."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.load.credentials import KeystoneAccount
from keystone_rollout.domain.load.profile import LoadProfile
from keystone_rollout.domain.load.samples import Sample
from keystone_rollout.domain.load.verdict import WITNESS
from keystone_rollout.domain.run.events import Event, Kind, Opened
from keystone_rollout.domain.run.systems import Systems
from keystone_rollout.domain.schema.target import PhaseTarget
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.locust.generator import LoadGeneratorError
from keystone_rollout.procedures.run import end, report
from keystone_rollout.procedures.run.systems import replaced
from tests.simulation.database import (
    SimulatedAccounts,
    SimulatedBackups,
    SimulatedLock,
    SimulatedMarks,
    SimulatedRestores,
    SimulatedSchema,
    SimulatedScratch,
    SimulatedVariables,
)
from tests.simulation.engine import SimulatedEngine
from tests.simulation.machines import SimulatedKeystone, SimulatedNodes, SimulatedServers
from tests.simulation.site import LoadProcess, Site
from tests.simulation.world import World


@dataclass
class SimulatedRecord:
    """The record of a run, in memory; a dead process adds nothing to it."""

    run_id: str
    clock: World
    path: Path
    site: Site
    kept: list[Event] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def load(self) -> Path:
        return self.path / "load"

    def record(self, event: Event) -> None:
        self.clock.alive()
        moment = round(self.clock.now(), 3)
        if not self.kept:
            self.kept.append(Opened(t=moment))
        self.kept.append(replace(event, t=moment))

    def all_events(self) -> list[Event]:
        return list(self.kept)

    def events(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.kept if isinstance(event, kind)]

    def last(self, kind: type[Kind]) -> Kind | None:
        return next((event for event in reversed(self.kept) if isinstance(event, kind)), None)

    def samples(self) -> list[Sample]:
        sessions = sorted(name for name in self.site.loads if name.startswith(f"{self.path}/"))
        return [sample for name in sessions for sample in self.site.loads[name].samples]

    def write_json(self, name: str, data: Mapping[str, Any]) -> Path:
        return self.write_text(name, "")

    def write_text(self, name: str, text: str) -> Path:
        self.clock.alive()
        self.texts[name] = text
        return self.path / name


@dataclass(frozen=True)
class SimulatedEnd:
    """How the load ended."""

    how: str
    died: bool = False


class SimulatedGenerator:
    """One session of the load."""

    web = "http://127.0.0.1:8089"

    def __init__(self, site: Site, directory: Path) -> None:
        self.site = site
        self.directory = directory

    @property
    def _process(self) -> LoadProcess | None:
        return self.site.loads.get(str(self.directory))

    def _effect(self, call: str, act: Any, **options: Any) -> Any:
        return self.site.world.effect("load", call, act, LoadGeneratorError, **options)

    def start(self, profile: LoadProfile, account: KeystoneAccount, **_: Any) -> None:
        self._effect("start the load", self._start, changes=True)

    def _start(self) -> None:
        if any(load.alive for load in self.site.loads.values()):
            raise LoadGeneratorError("another load runs")
        self.directory.mkdir(parents=True, exist_ok=True)
        now = self.site.world.passed
        self.site.loads[str(self.directory)] = LoadProcess(now, sampled=now)

    def wait_until_serving(self) -> None:
        self._effect("wait until the load is served", self._wait)

    def _wait(self) -> None:
        while not self.samples():
            self.site.world.sleep(1)

    def is_alive(self) -> bool:
        found: bool = self._effect("is the load alive", lambda: self._runs())
        return found

    def _runs(self) -> bool:
        return self._process is not None and self._process.alive

    def verdict(self) -> Verdict:
        try:
            alive = self.is_alive()
        except LoadGeneratorError:
            alive = False
        return Verdict(alive, "load process", "locust", str(alive), "running", witness=WITNESS)

    def samples(self) -> list[Sample]:
        return list(self._process.samples) if self._process else []

    def failures(self) -> str:
        return ""

    def stop(self) -> SimulatedEnd:
        found: SimulatedEnd = self._effect("stop the load", self._stop, changes=True)
        return found

    def _stop(self) -> SimulatedEnd:
        if not self._runs():
            return SimulatedEnd("had already ended", died=True)
        assert self._process is not None
        self._process.alive = False
        return SimulatedEnd("stopped")


class SimulatedLoad:
    """The load of one cloud."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def session(self, folder: Path) -> SimulatedGenerator:
        return SimulatedGenerator(self.site, folder)

    def port_is_free(self) -> bool:
        return not any(load.alive for load in self.site.loads.values())


@dataclass(frozen=True)
class PhaseAdditions:
    """What a phase's configuration adds."""

    arguments: list[str] = field(default_factory=list)
    archive: bytes = b""
    lock_wait_timeout: int = 5


class SimulatedConfiguration:
    """Files of Keystone's configuration, all in order."""

    def option(self, folder: str, section: str, option: str) -> str | None:
        return None if section in ("cache", "database") else "true"

    def phase(self, target: PhaseTarget) -> PhaseAdditions:
        return PhaseAdditions()


class SimulatedSystems:
    """The systems of one run (keystone_rollout.domain.run.systems.Systems)."""

    programs: Any = None

    def __init__(self, outside: SimulatedOutside, run_id: str, break_run: str) -> None:
        site = self.site = outside.site
        self.outside = outside
        self.clock = site.world
        self.lock = SimulatedLock(site, run_id, break_run)
        self.marks = SimulatedMarks(site)
        self.nodes = SimulatedNodes(site, outside.order)
        self.schema = SimulatedSchema(site)
        self.accounts = SimulatedAccounts(site)
        self.variables = SimulatedVariables(site)
        self.keystone = SimulatedKeystone(site, site.cloud)
        self.load = SimulatedLoad(site)
        self.backups = SimulatedBackups(site, outside.folder)
        self.scratch = SimulatedScratch(site)
        self.restores = SimulatedRestores(site)
        self.configuration = SimulatedConfiguration()

    @cached_property
    def balancers(self) -> SimulatedServers:
        return SimulatedServers(self.site)

    @cached_property
    def engine(self) -> SimulatedEngine:
        return SimulatedEngine(self.site)

    def schema_of(self, target: PhaseTarget) -> SimulatedSchema:
        return self.schema


class SimulatedOutside:
    """What there is before a run knows its cloud (domain.run.systems.Outside)."""

    notifiers: Any = None

    def __init__(self, site: Site, folder: Path, seed: int) -> None:
        self.site = site
        self.clock = site.world
        self.folder = folder
        self.order = random.Random(seed)
        self.records: dict[str, SimulatedRecord] = {}

    def cloud(self, name: str, source: str = "", target: str = "", **_: Any) -> Cloud:
        return self.site.cloud

    def record(self, run_id: str, folder: Path | None = None) -> SimulatedRecord:
        if run_id not in self.records:
            path = self.folder / run_id
            self.records[run_id] = SimulatedRecord(run_id, self.site.world, path, self.site)
        return self.records[run_id]

    def estimate(self, cloud: Cloud) -> dict[str, Any]:
        return {"findings": []}

    def systems(self, cloud: Cloud, run_id: str, break_run: str) -> Systems:
        return SimulatedSystems(self, run_id, break_run)


@contextmanager
def put_in(outside: SimulatedOutside) -> Iterator[None]:
    """Let every run find this outside while the block runs.

    A run whose lock was broken is cleaned up through hooks, so these are replaced here, too; and a
    report's page is not drawn, which takes longer than all the rest of a run.
    """

    class Records:
        existing = staticmethod(outside.records.get)

    with ExitStack() as stack:
        stack.enter_context(replaced(outside))
        stack.enter_context(patch.object(end, "RunDirectory", Records))
        stack.enter_context(patch.object(
            end, "LoadGeneratorHook", lambda folder: SimulatedGenerator(outside.site, folder)
        ))  # fmt: skip
        stack.enter_context(patch.object(
            report, "write_report", lambda record, _: record.write_text("report.html", "")
        ))  # fmt: skip
        yield
