"""Describe a fault: when it strikes, what it does, and what the upgrade has to answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

from lab.airflow.upgrade_run import DAG
from tests.scenarios.moments import Moment
from tests.scenarios.scenario_cloud import Cloud

if TYPE_CHECKING:
    from tests.scenarios.scene import Scene


class Ends(StrEnum):
    """Say what becomes of the run that a fault strikes."""

    GREEN = "green"
    RED = "red"
    KILLED = "killed"
    LOST = "lost"
    """Killed, and what it had written on its machine is gone."""
    GOES_ON = "goes on"
    """The run survives this fault, and the next row strikes the same run."""


@dataclass(frozen=True)
class Violation:
    """Name a verdict that has to be in the report: check, a part of what was measured, limit."""

    check: str
    measured: str
    limit: str | None = None
    subject: str | None = None

    def __str__(self) -> str:
        subject = f" ({self.subject})" if self.subject else ""
        limit = f", limit {self.limit}" if self.limit is not None else ""
        return f"{self.check}{subject}: measured …{self.measured}…{limit}"

    def matches(self, verdict: Mapping[str, Any]) -> bool:
        """Tell whether a verdict of a report is this one."""
        return (
            verdict["check"] == self.check
            and self.measured in verdict["measured"]
            and self.limit in (None, verdict["limit"])
            and self.subject in (None, verdict["object"])
        )


@dataclass
class Preparation:
    """Hold what a run is about to be started with; a fault may change it."""

    client: docker.DockerClient
    folder: Path
    """For the fault's own files; gone at the end."""
    cloud: Cloud
    params: dict[str, Any]
    environment: dict[str, str]
    last_words: str
    """What the run before this one said."""


Strike = Callable[["Scene"], AbstractContextManager[None]]
Prepare = Callable[[Preparation], AbstractContextManager[None]]
Question = Callable[["Scene"], Iterable[str]]


@dataclass(frozen=True)
class Fault:
    """One row of a campaign, and one test.

    ``prepare`` surrounds the run from before its start, ``strike`` begins at ``moment`` and is
    undone when the run has ended. A run says ``says``, in its log or as the reason of a failed
    step, and its report holds ``violates``. ``breaks_service`` is for faults that cost requests
    by themselves: then failed requests are counted, and not judged. ``afterwards`` and ``needs``
    return what is not as it has to be, in words: at the end, and before the start.
    """

    number: str
    name: str
    ends: Ends = Ends.RED
    moment: Moment | None = None
    strike: Strike | None = None
    prepare: Prepare | None = None
    dag: str = DAG
    params: Mapping[str, Any] = field(default_factory=dict)
    cloud: Mapping[str, Any] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    violates: tuple[Violation, ...] = ()
    breaks_service: bool = False
    afterwards: Question | None = None
    needs: Callable[[], Iterable[str]] | None = None

    @property
    def title(self) -> str:
        """Return number and name, as the test is called."""
        return f"{self.number} {self.name}"
