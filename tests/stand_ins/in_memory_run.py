"""What a gate looks at, in memory: the lock's row, the server's variables, the load.

Every change of it is counted in ``writes``, so that a test can say that nothing was changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.load.samples import Sample
from keystone_rollout.domain.run.events import DagNamed, LockChanged, LockState, Reported
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.locust.generator import LoadEnd
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.end import release_lock
from keystone_rollout.procedures.run.gate import open_gate, require
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.witnesses import run_witnesses
from tests.stand_ins.set_clock import SetClock
from tests.stand_ins.systems import run_with

RUN = "run-1"
WARM = 20
"""Seconds of load before a session serves."""


class InMemorySystems:
    """Hold lock, variables and load processes of one cloud."""

    def __init__(self, clock: SetClock) -> None:
        self.clock = clock
        self.writes: list[str] = []
        self.holder: str | None = None
        self.token = ""
        self.variables = {"log_bin_trust_function_creators": "0",
                          "transaction_isolation": "REPEATABLE-READ"}  # fmt: skip
        self.saved: dict[str, str] = {}
        self.running: dict[str, bool] = {}
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.answers = [(0.0, 100.0, 0)]
        """From when on the cloud answers in how many milliseconds, with failures a second."""
        self.refuses: str | None = None
        """What cannot be changed."""

    def wrote(self, what: str) -> None:
        if what == self.refuses:
            raise RuntimeError(f"no {what} here")
        self.writes.append(what)

    # The database

    def table(self, cloud: Cloud, table: str, newest: str = "") -> InMemorySystems:
        return self

    def rows(self, question: str, **parameters: Any) -> list[tuple[Any, ...]]:
        if question == "select_upgrade_lock":
            row = (3, "lab", self.holder, "host:/airflow", "10:00", "10:01", "dag", self.token)
            return [row] if self.holder else []
        assert question == "select_saved_variable"
        name = parameters["name"]
        return [(self.saved[name],)] if name in self.saved else []

    def write(self, statement: str, **parameters: Any) -> None:
        self.wrote(statement)
        if statement == "insert_upgrade_lock":
            self.holder, self.token = parameters["run_id"], parameters["token"]
        elif statement == "delete_upgrade_lock":
            self.holder = None
        elif statement == "insert_saved_variable":
            self.saved[parameters["name"]] = parameters["original"]
        elif statement == "delete_saved_variable":
            del self.saved[parameters["name"]]
        else:
            assert statement == "update_lock_heartbeat"

    def database(self, cloud: Cloud) -> InMemorySystems:
        return self

    @property
    def administrator(self) -> InMemorySystems:
        return self

    def server(self) -> str:
        return "database:3306"

    def get_first(self, question: str, parameters: dict[str, Any]) -> tuple[str, str] | None:
        name = parameters["name"]
        return (name, self.variables[name]) if name in self.variables else None

    def run(self, statement: str, parameters: dict[str, Any], autocommit: bool) -> None:
        name = statement.split()[2]
        self.wrote(f"SET GLOBAL {name}")
        self.variables[name] = str(parameters["value"])

    # The load

    def session(self, folder: Path) -> InMemoryLoad:
        return InMemoryLoad(self, folder)

    def answer(self, milliseconds: float, failing: int = 0) -> None:
        """Let the cloud answer differently from now on."""
        self.answers.append((self.clock.now(), milliseconds, failing))

    def end_process(self, session: str) -> None:
        self.running[session] = False
        self.ended[session] = self.clock.now()

    def die(self) -> None:
        """End the first session's process by itself."""
        self.end_process("1")


class InMemoryLoad:
    """Stand in for hooks.locust.generator.LoadGeneratorHook: one sample a second while it runs."""

    def __init__(self, systems: InMemorySystems, directory: Path) -> None:
        self.systems = systems
        self.directory = directory
        self.name = directory.name

    def start(self, *_args: Any, **_options: Any) -> None:
        self.systems.wrote(f"start load {self.name}")
        self.systems.began[self.name] = self.systems.clock.now()
        self.systems.running[self.name] = True

    def wait_until_serving(self) -> None:
        self.systems.clock.passed += WARM

    def is_alive(self) -> bool:
        return self.systems.running.get(self.name, False)

    def verdict(self) -> Verdict:
        return Verdict(self.is_alive(), "load process", "locust", "process 7", "running",
                       witness="load")  # fmt: skip

    def failures(self) -> str:
        return ""

    def samples(self) -> Sequence[Sample]:
        systems = self.systems
        if self.name not in systems.began:
            return []
        until = systems.ended.get(self.name, systems.clock.now())
        return [self._sample(t) for t in range(int(systems.began[self.name]), int(until))]

    def _sample(self, t: int) -> Sample:
        _since, bucket, bad = [each for each in self.systems.answers if each[0] <= t][-1]
        return Sample(t, 100, bad, 5, t + 0.9, 0.1, {bucket: 100}, {"get_user": (100, bad)})

    def stop(self) -> LoadEnd:
        if not self.is_alive():
            return LoadEnd("had already ended", None, died=self.name in self.systems.began)
        self.systems.wrote(f"stop load {self.name}")
        self.systems.end_process(self.name)
        return LoadEnd("stopped", None)


def in_memory_run(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    dag: str = "keystone_upgrade",
    read_committed: str = "always",
) -> tuple[RolloutRun, InMemorySystems]:
    """Return a run of cloud lab that holds the lock, and what it looks at."""
    systems = InMemorySystems(SetClock())
    hooks = "keystone_rollout.hooks"
    monkeypatch.setattr(f"{hooks}.database.upgrade_lock.RolloutTable", systems.table)
    monkeypatch.setattr(f"{hooks}.database.variables.RolloutTable", systems.table)
    monkeypatch.setattr(f"{hooks}.database.variables.KeystoneDatabase", systems.database)
    cloud = load_cloud("lab", "12.0.3", "13.0.4").model_copy(
        update={"read_committed": read_committed}
    )
    keystone = SimpleNamespace(account=lambda: None)
    run = run_with(cloud, folder, clock=systems.clock, load=systems, keystone=keystone)
    run.directory.record(DagNamed(dag=dag))
    systems.holder, systems.token = RUN, run.directory.identity().token
    run.directory.record(LockChanged(state=LockState.TAKEN))
    return run, systems


def begin_all(run: RolloutRun) -> None:
    """Begin what the setups begin, measure the undisturbed cloud, and pass a gate."""
    for witness in run_witnesses(run):
        witness.begin()
    require(run, "baseline", LoadSession(run).measure_baseline())
    open_gate(run, "before staging keystone-1", run_witnesses(run))


def tear_down(run: RolloutRun) -> None:
    """End what the teardowns end, and report."""
    for witness in reversed(run_witnesses(run)):
        witness.end()
    release_lock(run)
    run.directory.record(Reported(state="failed", path="report.html"))
    run.clock.sleep(60)


def in_context() -> dict[str, Any]:
    """Return what Airflow hands to a task of the run."""
    instance = SimpleNamespace(dag_id="keystone_upgrade", xcom_push=lambda **_: None)
    return {"ti": instance, "run_id": RUN}
