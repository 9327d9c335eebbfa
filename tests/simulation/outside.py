"""Everything outside of a simulated run: its records, its load, and a cloud's systems."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
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
from keystone_rollout.domain.run.lock import RunIdentity
from keystone_rollout.domain.run.systems import Record, Systems
from keystone_rollout.domain.schema.target import PhaseTarget
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.locust.generator import LoadGeneratorError
from keystone_rollout.procedures.run import report
from keystone_rollout.procedures.run.run import RolloutRun
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
from tests.simulation.site import LoadProcess, Site, token_of
from tests.simulation.world import World


@dataclass
class SimulatedRecord:
    """The record of a run, in memory; a dead process adds nothing to it."""

    run_id: str
    clock: World
    path: Path
    site: Site
    dag: str = ""
    kept: list[Event] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def load(self) -> Path:
        return self.path / "load"

    def identity(self) -> RunIdentity:
        return RunIdentity(self.run_id, self.dag, "here", token_of(self.run_id))

    def unwritten(self) -> int:
        return 0

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()  # tasks work one after another

    def record(self, event: Event) -> bool:
        self.clock.alive()
        moment = round(self.clock.now(), 3)
        if not self.kept:
            self.kept.append(Opened(t=moment))
        self.kept.append(replace(event, t=moment))
        return True

    def all_events(self) -> list[Event]:
        return list(self.kept)

    def events(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.kept if isinstance(event, kind)]

    def last(self, kind: type[Kind]) -> Kind | None:
        return next((event for event in reversed(self.kept) if isinstance(event, kind)), None)

    def samples(self) -> tuple[list[Sample], list[str]]:
        sessions = sorted(name for name in self.site.loads if name.startswith(f"{self.path}/"))
        return [sample for name in sessions for sample in self.site.loads[name].samples], []

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

    def __init__(self, site: Site, directory: Path) -> None:
        self.site = site
        self.directory = directory

    @property
    def _process(self) -> LoadProcess | None:
        return self.site.loads.get(str(self.directory))

    def _effect(self, call: str, act: Any, **options: Any) -> Any:
        return self.site.world.effect("load", call, act, LoadGeneratorError, **options)

    def start(
        self, profile: LoadProfile, account: KeystoneAccount, *, run_time_seconds: int, **_: Any
    ) -> None:
        self._effect("start the load", lambda: self._start(run_time_seconds), changes=True)

    def _start(self, seconds: int) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        now = self.site.world.passed
        self.site.loads[str(self.directory)] = LoadProcess(now + seconds, sampled=now)

    def wait_until_serving(self) -> None:
        self._effect("wait until the load is served", self._wait)

    def _wait(self) -> None:
        while not self.samples():
            if not self._runs():
                raise LoadGeneratorError("the load did not start")
            self.site.world.sleep(1)

    def is_alive(self) -> bool:
        found: bool = self._effect("is the load alive", lambda: self._runs())
        return found

    def process(self) -> LoadProcess | None:
        return self._process if self.is_alive() else None

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
            return SimulatedEnd("had already ended", died=self._process is not None)
        assert self._process is not None
        self._process.alive = False
        return SimulatedEnd("stopped")


class SimulatedLoad:
    """The load of one cloud."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def session(self, folder: Path) -> SimulatedGenerator:
        return SimulatedGenerator(self.site, folder)


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


class SimulatedDisk:
    """A disk with room, on which nobody has left half a file."""

    def free_bytes(self, folder: Path) -> int:
        return 1 << 40

    def not_writable(self, folder: Path) -> None:
        return None

    def remove_unfinished(self, folders: Iterable[Path]) -> list[Path]:
        return []


class SimulatedSystems:
    """The systems of one run (keystone_rollout.domain.run.systems.Systems)."""

    programs: Any = None

    def __init__(self, outside: SimulatedOutside, record: Record, break_run: str) -> None:
        site = self.site = outside.site
        self.outside = outside
        self.clock = site.world
        self.lock = SimulatedLock(site, record.identity(), break_run)
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
        self.disk = SimulatedDisk()

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

    def record(self, run_id: str, folder: Path | None = None, dag: str = "") -> SimulatedRecord:
        if run_id not in self.records:
            path = self.folder / run_id
            self.records[run_id] = SimulatedRecord(run_id, self.site.world, path, self.site, dag)
        return self.records[run_id]

    def existing(self, run_id: str, token: str = "") -> SimulatedRecord | None:
        found = self.records.get(run_id)
        return found if found and found.identity().token == token else None

    def identities(self) -> list[RunIdentity]:
        return [each.identity() for each in self.records.values()]

    def estimate(self, cloud: Cloud) -> dict[str, Any]:
        return {"findings": []}

    def systems(self, cloud: Cloud, record: Record, break_run: str) -> Systems:
        return SimulatedSystems(self, record, break_run)


@contextmanager
def beating(run: RolloutRun) -> Iterator[None]:
    """Let a run's heart beat as time passes, and not in a thread of the real time."""
    assert isinstance(run.lock, SimulatedLock)
    assert isinstance(run.clock, World)
    hearts = run.clock.passing
    hearts.append(run.lock.beat)
    try:
        yield
    finally:
        hearts.remove(run.lock.beat)


@contextmanager
def put_in(outside: SimulatedOutside) -> Iterator[None]:
    """Let every run find this outside while the block runs.

    A report's page is not drawn, which takes longer than all the rest of a run.
    """
    runs = {"ROLLOUT_RUNS": str(outside.folder)}
    with ExitStack() as stack:
        stack.enter_context(replaced(outside))
        stack.enter_context(patch.dict(os.environ, runs))
        stack.enter_context(patch.object(RolloutRun, "kept_alive", beating))
        stack.enter_context(patch.object(
            report, "write_report", lambda record, _: record.write_text("report.html", "")
        ))  # fmt: skip
        yield
