"""Tie together what every task of one run needs: the cloud, the run's directory, its plan."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.overrides import OVERRIDES, deviations, given_overrides
from keystone_rollout.domain.run.events import Noted, Planned, StepChanged, StepState, Work
from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.domain.schema.state import MigrationState
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.database.upgrade_lock import UpgradeLock
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory

log = logging.getLogger(__name__)


class GateClosed(AirflowFailException):
    """The checks that are violated between two steps; nothing goes on."""


class RolloutRun:
    """Give a task its cloud and its run's record."""

    clock: Clock = SYSTEM_CLOCK

    def __init__(
        self, cloud: Cloud, directory: RunDirectory, task_id: str, break_run: str = ""
    ) -> None:
        self.cloud = cloud
        self.directory = directory
        self.task_id = task_id
        self.break_run = break_run

    @cached_property
    def lock(self) -> UpgradeLock:
        """Return the cloud's lock as this run sees it; RunNotIdentified if it has no identity."""
        return UpgradeLock(self.cloud, self.directory.identity(), self.break_run)

    @classmethod
    def from_context(cls, context: Mapping[str, Any], *, any_hop: bool = False) -> RolloutRun:
        """Read the cloud that the run's params name; ``any_hop``: also for a pair that is no hop.

        Raises CloudFileError with all findings where the file is wrong.
        """
        cloud = _cloud(context["params"], any_hop=any_hop)
        label = str(context["ti"].task_id)
        directory = RunDirectory.of(context)
        return cls(cloud, directory, label, str(context["params"].get("break_lock") or "").strip())

    def record_deviations(self, params: Mapping[str, Any]) -> None:
        """Record what the run's params set otherwise than the cloud file, each once."""
        known = {replace(event, t=0.0) for event in self.directory.events(Noted)}
        for text in deviations(_cloud({**params, **dict.fromkeys(OVERRIDES)}), self.cloud):
            log.warning("Deviation: %s", text)
            if (note := Noted(text=text)) not in known:
                self.directory.record(note)

    def plan(self) -> Planned:
        """Return what task `plan` found; RuntimeError where it has not run."""
        event = self.directory.last(Planned)
        if event is None:
            raise RuntimeError(
                f"run {self.directory.run_id} has no plan. Next: clear task plan, not just this one"
            )
        return event

    def image(self) -> ImageMigrations:
        """Return the migrations that were read from the upgrade image."""
        return ImageMigrations.from_dict(self.plan().migrations)

    def state(self, recorded: RecordedVersions) -> MigrationState:
        """Place what the version table says against the image's migrations."""
        return MigrationState(recorded, self.image())

    @contextmanager
    def step(self, name: str, work: Work = Work.STEP) -> Iterator[None]:
        """Record when a step of the upgrade began and how it ended."""
        started = StepChanged(step=name, work=work, state=StepState.STARTED)
        self.directory.record(started)
        try:
            yield
        except BaseException as error:
            gated = isinstance(error, GateClosed)
            self.directory.record(
                replace(started, state=StepState.FAILED, reason=str(error), gated=gated)
            )
            raise
        self.directory.record(replace(started, state=StepState.FINISHED))


def _cloud(params: Mapping[str, Any], *, any_hop: bool = False) -> Cloud:
    """Return the cloud of a run's params: the only place where they are put into a cloud."""
    return load_cloud(
        params["cloud"],
        params.get("source") or "",  # the form sends null for a field that was emptied
        params.get("target") or "",
        any_hop=any_hop,
        overrides=given_overrides(params),
    )
