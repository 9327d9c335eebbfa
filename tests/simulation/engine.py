"""The Docker engine of a simulation, and the upgrade image in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow.sdk.exceptions import AirflowTaskTimeout
from docker.errors import DockerException, NotFound

from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.hooks.docker.container import PhaseContainer
from keystone_rollout.hooks.docker.image import UpgradeImageError
from tests.simulation.database import phase_of
from tests.simulation.site import HEADS, IMAGE, TARGET, Container, Site
from tests.simulation.world import BEGIN

Result = TypeVar("Result")
STATEMENTS = 3
STATEMENT_SECONDS = 2.0


class SimulatedClient:
    """The Docker API, as far as DockerOperator and the phase's container use it."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def _effect(self, call: str, act: Callable[[], Result], **options: Any) -> Result:
        return self.site.world.effect("docker", call, act, DockerException, hangs=60.0, **options)

    def _found(self) -> Container:
        if self.site.container is None:
            raise NotFound("No such container")
        return self.site.container

    def images(self, name: str) -> list[str]:
        return [name]

    def create_host_config(self, **_: Any) -> dict[str, Any]:
        return {}

    def create_container(
        self, *, command: list[str], labels: dict[str, str], **_: Any
    ) -> dict[str, str]:
        def act() -> dict[str, str]:
            if self.site.container is not None:
                raise DockerException("Conflict. The container name is already in use")
            self.site.container = Container(command, labels)
            return {"Id": "1"}

        return self._effect(f"create {command[-1]}", act, changes=True)

    def put_archive(self, *_: Any) -> bool:
        return self._effect("put the configuration", lambda: bool(self._found()), changes=True)

    def start(self, *_: Any, **__: Any) -> None:
        self._effect("start the container", self._start, changes=True)

    def _start(self) -> None:
        container, now = self._found(), self.site.world.passed
        phase = phase_of(container.command)
        container.status, container.started = "running", now
        if phase is None:
            container.ends = now + 1.0
            return
        at, head = self.site.live.versions[phase], HEADS[phase]
        container.statements = [
            (now + STATEMENT_SECONDS * n, phase, at + (head - at) * n // STATEMENTS)
            for n in range(1, STATEMENTS + 1)
        ]
        container.ends = now + STATEMENT_SECONDS * (STATEMENTS + 0.5)

    def attach(self, **_: Any) -> Iterator[bytes]:
        return self._stream()

    def _stream(self) -> Iterator[bytes]:
        try:
            self._effect("read the container's log", self._wait)
        except DockerException as error:
            if "within" in str(error):  # nothing here limits it but the phase's own limit
                self.site.world.sleep(self.site.cloud.limits.phase_seconds)
                raise AirflowTaskTimeout("Timeout") from error
            raise
        yield b"keystone-manage has ended\n"

    def _wait(self) -> None:
        while self._found().status == "running":
            self.site.world.sleep(max(self._found().ends - self.site.world.passed, 0.1))

    def wait(self, *_: Any) -> dict[str, int]:
        def act() -> dict[str, int]:
            self._wait()
            return {"StatusCode": self._found().exit}

        return self._effect("wait for the container", act)

    def stop(self, *_: Any) -> None:
        def act() -> None:
            self._found().status = "exited"

        self._effect("stop the container", act, changes=True)

    def logs(self, *_: Any) -> bytes:
        return self._effect("read the old container's log", lambda: b"")

    def inspect_container(self, name: str) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            container = self._found()
            started = datetime.fromtimestamp(BEGIN + container.started, UTC).isoformat()
            running = container.status == "running"
            return {
                "Config": {"Labels": container.labels},
                "State": {
                    "Status": container.status, "Running": running, "ExitCode": container.exit,
                    "StartedAt": started,
                },
            }  # fmt: skip

        return self._effect("inspect the container", act)

    def remove_container(self, *_: Any, **__: Any) -> None:
        self._effect("remove the container", self._remove, changes=True)

    def _remove(self) -> None:
        container = self._found()
        if container.status == "running" and phase_of(container.command):
            self.site.violated("migration cut in two", f"{container.command[-1]} was removed")
        self.site.container = None


@dataclass
class SimulatedHook:
    """What DockerOperator and the phase's container get their client from."""

    api_client: SimulatedClient
    client_created: bool = True


class SimulatedPhaseContainer(PhaseContainer):
    """The product's own handling of its one container, above the simulated engine."""

    def __init__(self, site: Site, hook: SimulatedHook) -> None:
        self.cloud = site.cloud
        self.clock = site.world
        self.name = f"keystone-rollout-phase-{site.cloud.name}"
        self.hook = hook  # type: ignore[assignment]


class SimulatedImage:
    """The upgrade image."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def _ask(self, call: str, answer: Result) -> Result:
        return self.site.world.effect("docker", call, lambda: answer, UpgradeImageError)

    def digest(self) -> str:
        return self._ask("read the image's id", "sha256:1")

    def release(self) -> str:
        return self._ask("read the image's release", TARGET)

    def migrations(self) -> ImageMigrations:
        return self._ask("read the image's migrations", IMAGE)

    def configuration_findings(self) -> list[str]:
        return []


class SimulatedEngine:
    """The engine of one run."""

    def __init__(self, site: Site) -> None:
        self.hook = SimulatedHook(SimulatedClient(site))
        self.container = SimulatedPhaseContainer(site, self.hook)
        self.image = SimulatedImage(site)
