"""Provide the tasks of one run with their cloud, the run's directory and its plan."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.overrides import OVERRIDES, deviations, given_overrides
from keystone_rollout.domain.run import systems
from keystone_rollout.domain.run.events import Noted, Planned, StepChanged, StepState, Work
from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.domain.schema.state import MigrationState
from keystone_rollout.domain.schema.target import PhaseTarget
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.procedures.run.systems import outside

BEAT_SECONDS = 30.0
LAST_BEAT_SECONDS = 5.0
"""How long the end of a step waits for a heartbeat that is under way."""

log = logging.getLogger(__name__)


class GateClosed(AirflowFailException):
    """The checks that are violated between two steps; nothing goes on."""


class RolloutRun:
    """One run: its cloud, its record, and its systems, each by its name.

    :param found: the systems; by default those that are outside of every run of this process
    """

    clock: Clock
    lock: systems.Lock
    marks: systems.Marks
    balancers: systems.Balancers
    nodes: systems.Nodes
    schema: systems.Schema
    accounts: systems.Accounts
    variables: systems.Variables
    engine: systems.Engine
    keystone: systems.Keystone
    load: systems.Load
    backups: systems.Backups
    scratch: systems.Scratch
    restores: systems.Restores
    configuration: systems.Configuration
    programs: systems.Programs
    disk: systems.Disk
    schema_of: Callable[[PhaseTarget], systems.Schema]

    def __init__(
        self,
        cloud: Cloud,
        directory: systems.Record,
        task_id: str,
        break_run: str = "",
        found: systems.Systems | None = None,
    ) -> None:
        self.cloud = cloud
        self.directory = directory
        self.task_id = task_id
        self.systems = found or outside().systems(cloud, directory, break_run)

    if not TYPE_CHECKING:  # for mypy a name that is not listed above does not exist

        def __getattr__(self, name: str) -> object:
            return getattr(self.systems, name)

    @classmethod
    def from_context(cls, context: Mapping[str, Any], *, any_hop: bool = False) -> RolloutRun:
        """Read the cloud that the run's params name; ``any_hop`` also takes an unsupported pair.

        Raises CloudFileError with all findings if the file is wrong.
        """
        cloud = _cloud(context["params"], any_hop=any_hop)
        label = str(context["ti"].task_id)
        directory = record_of(context)
        return cls(cloud, directory, label, str(context["params"].get("break_lock") or "").strip())

    def record_deviations(self, params: Mapping[str, Any]) -> None:
        """Record the run's deviations from the cloud file, each once."""
        for text in deviations(_cloud({**params, **dict.fromkeys(OVERRIDES)}), self.cloud):
            log.warning("Deviation: %s", text)
            self._note_once(text)

    def record_unverified(self) -> None:
        """Record each address whose certificate is not verified, with the cloud file's reason."""
        for text in self.cloud.tls.exceptions():
            log.warning("%s", text)
            self._note_once(text)

    def _note_once(self, text: str) -> None:
        if text not in {event.text for event in self.directory.events(Noted)}:
            self.directory.record(Noted(text=text))

    def plan(self) -> Planned:
        """Return the result of task `plan`; RuntimeError if it has not run."""
        event = self.directory.last(Planned)
        if event is None:
            raise RuntimeError(
                f"run {self.directory.run_id} has no plan. Next: clear task plan, not just this one"
            )
        return event

    def image(self) -> ImageMigrations:
        """Return the migrations that were read from the upgrade image."""
        image = self.plan().migrations
        assert image is not None, "only a restore's plan has none, and it runs no phase"
        return image

    def state(self, recorded: RecordedVersions) -> MigrationState:
        """Place the recorded versions against the image's migrations."""
        return MigrationState(recorded, self.image())

    @contextmanager
    def step(self, name: str, work: Work = Work.STEP) -> Iterator[None]:
        """Record the beginning and the end of a step of the upgrade; the lock is kept alive."""
        started = StepChanged(step=name, work=work, state=StepState.STARTED)
        self.directory.record(started)
        try:
            with self.kept_alive():
                yield
        except BaseException as error:
            gated = isinstance(error, GateClosed)
            self.directory.record(
                replace(started, state=StepState.FAILED, reason=str(error), gated=gated)
            )
            raise
        self.directory.record(replace(started, state=StepState.FINISHED))

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew the lock's heartbeat meanwhile: no gate does so within a dump or a phase."""
        over = threading.Event()
        heart = threading.Thread(target=self._beat, args=(over,), name="heartbeat", daemon=True)
        heart.start()
        try:
            yield
        finally:
            over.set()
            heart.join(LAST_BEAT_SECONDS)

    def _beat(self, over: threading.Event) -> None:
        while not over.wait(BEAT_SECONDS):
            try:
                if self.lock.holder() is not None:  # a plan has none, and makes no table
                    self.lock.keep_alive()
            except Exception as error:  # the database may be away for a while
                log.warning("the lock's heartbeat failed: %s", error)


def record_of(context: Mapping[str, Any]) -> systems.Record:
    """Return the record of the run that a task belongs to."""
    return outside().record(str(context["run_id"]), dag=str(context["ti"].dag_id))


def _cloud(params: Mapping[str, Any], *, any_hop: bool = False) -> Cloud:
    """Return the cloud of a run's params: the only place where they are put into a cloud."""
    return outside().cloud(
        params["cloud"],
        params.get("source") or "",  # the form sends null for a field that was emptied
        params.get("target") or "",
        any_hop=any_hop,
        overrides=given_overrides(params),
    )
