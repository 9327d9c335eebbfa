"""What a strike can reach: the run it strikes, the lab, and the lines between the two."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker

from keystone_rollout.hooks.locust.process import LoadProcess
from lab.airflow.upgrade_run import UpgradeRun
from tests.scenarios.forwarder import Forwarder
from tests.scenarios.moments import Moment
from tests.scenarios.scenario_cloud import Cloud

RUN_SECONDS = 420.0
POLL_SECONDS = 0.05


@dataclass
class Lines:
    """Hold the connections that run through a forwarder, so that a fault can cut them."""

    haproxy: Forwarder
    ssh: Forwarder
    database: Forwarder
    environment: dict[str, str]
    """Airflow's variables of the connections that lead there."""


@dataclass
class Scene:
    """Hold one run while a fault strikes it."""

    client: docker.DockerClient
    run: UpgradeRun
    lines: Lines
    cloud: Cloud
    folder: Path
    other_runs: list[UpgradeRun] = field(default_factory=list)
    """Further runs that a strike has started."""

    def until(self, moment: Moment, seconds: float = RUN_SECONDS) -> None:
        """Wait for a moment of the run; AssertionError if it ends, or takes longer, before it."""
        end = time.monotonic() + seconds
        while not moment.reached(self.run.events()):
            if self.run.ended():
                # The last events may have been written between the two looks.
                if moment.reached(self.run.events()):
                    return
                raise AssertionError(
                    f"the run ended before its moment ({moment}): {self.last_reason()}; "
                    f"see {self.run.log}"
                )
            assert time.monotonic() < end, (
                f"the moment ({moment}) did not come within {seconds:g} s, see {self.run.log}"
            )
            time.sleep(POLL_SECONDS)

    def wait_for(self, what: str, reached: Callable[[], bool], seconds: float) -> None:
        """Wait until something is so while the run goes on; AssertionError says what was not."""

        def reached_or_ended() -> bool:
            assert not self.run.ended(), (
                f"the run ended before {what}: {self.last_reason()}; see {self.run.log}"
            )
            return reached()

        wait_for(what, reached_or_ended, seconds)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Hold the run, but not its load, so that what happens comes before its next step."""
        os.killpg(self.run.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.run.process.pid, signal.SIGCONT)

    def last_reason(self) -> str:
        """Return why the last step of the run failed."""
        failed = [event for event in self.run.events() if event.get("state") == "failed"]
        return str(failed[-1].get("reason", "no reason")) if failed else "no step failed"

    def load_process(self) -> LoadProcess:
        """Return the process of the run's newest load session."""
        processes = load_processes(self.run.directory)
        assert processes, f"the run has no load, see {self.run.log}"
        return processes[-1]


def load_processes(directory: Path | None) -> list[LoadProcess]:
    """Return the load processes of a run, by its directory; also those that have ended."""
    if directory is None:
        return []
    files = sorted(directory.glob("load/*/process.json"), key=lambda path: int(path.parent.name))
    return [process for file in files if (process := LoadProcess.load(file)) is not None]


def load_runs(directory: Path | None) -> bool:
    """Tell whether a load process of a run is still there."""
    return any(process.runs() for process in load_processes(directory))


def failed_requests(directory: Path | None) -> int:
    """Return how many requests of a run have failed so far, by its directory."""
    files = directory.glob("load/*/failures.jsonl") if directory else []
    return sum(len(file.read_text().splitlines()) for file in files)


def end_load(directory: Path | None) -> None:
    """End whatever load of a run is still there."""
    for process in load_processes(directory):
        process.end_group(signal.SIGKILL)


def wait_for(
    what: str, reached: Callable[[], bool], seconds: float, every: float = POLL_SECONDS
) -> None:
    """Wait until something is so; AssertionError says what was not, after how long."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"{what}: not reached within {seconds:g} s"
        time.sleep(every)
