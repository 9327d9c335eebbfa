"""Keep one keystone-manage container per cloud, and wait for the one that a killed task left.

A task that dies leaves its container running, and the migration in it goes on. A second one beside
it would run the same statements, so every start waits for the first.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime
from typing import Any

from docker.errors import DockerException, NotFound

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.keystone_log import error_lines
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.docker.image import ENGINE_ERRORS, docker_hook, engine_words

LABEL_CLOUD = "org.keystone-rollout.cloud"
LABEL_COMMAND = "org.keystone-rollout.command"
POLL_SECONDS = 0.5
TELL_SECONDS = 30.0
LOG_LINES = 5

log = logging.getLogger(__name__)


class PhaseContainerError(RuntimeError):
    """An earlier container that keeps the next one from being started."""


class PhaseContainer:
    """The one container in which a cloud's keystone-manage runs."""

    def __init__(self, cloud: Cloud, clock: Clock = SYSTEM_CLOCK) -> None:
        self.cloud = cloud
        self.clock = clock
        self.name = f"keystone-rollout-phase-{cloud.name}"
        self.hook = docker_hook(cloud)

    def labels(self, arguments: list[str]) -> dict[str, str]:
        """Return what tells a human, and `docker ps --filter`, whose container this is."""
        return {LABEL_CLOUD: self.cloud.name, LABEL_COMMAND: " ".join(arguments)}

    def wait_for_earlier(self) -> str:
        """Wait for an earlier container's end, log and remove it; return the finding in words.

        Call it before anything that must not run beside a migration: a phase, a backup. Raises
        PhaseContainerError if the container still runs limits.phase_seconds after its start, or if
        Docker does not answer.
        """
        try:
            return self._wait_and_remove()
        except ENGINE_ERRORS as error:
            raise PhaseContainerError(
                f"whether {self.name} still runs is not known: {engine_words(error, self.cloud)}; "
                "allowed is one container per cloud, so nothing was started. Next: repair Docker, "
                "then start the upgrade again"
            ) from error

    def remove(self) -> int:
        """Remove the container and return the exit status it ended with."""
        status = int(self._inspect()["State"]["ExitCode"])
        self._client.remove_container(self.name, force=True)
        return status

    def discard(self) -> None:
        """Remove a container that was not started; the next start looks after every other one."""
        with suppress(NotFound):
            if self._inspect()["State"]["Status"] == "created":
                self.remove()

    def words(self, error: Exception) -> str:
        """Return an engine's error in words, see engine_words."""
        return engine_words(error, self.cloud)

    def _wait_and_remove(self) -> str:
        try:
            found = self._inspect()
        except NotFound:
            return f"no earlier container of cloud {self.cloud.name}"
        command = found["Config"]["Labels"].get(LABEL_COMMAND, "unknown command")
        what = f"{self.name} ({command}) of an earlier attempt"
        state = found["State"]
        if state["Status"] == "created":
            self.remove()
            return self._tell(f"{what} was never started; removed")
        waited = self._wait_until_ended(what) if state["Running"] else 0.0
        lines = self._client.logs(self.name).decode(errors="replace").splitlines()
        status, errors = self.remove(), error_lines(lines)
        for line in errors[:LOG_LINES]:
            log.error("%s: %s", self.name, line)
        return self._tell(
            f"{what} {f'was waited for {waited:.1f} s' if waited else 'had ended'}: exit status "
            f"{status}, {len(errors)} error line(s); removed"
        )

    def _wait_until_ended(self, what: str) -> float:
        """Return for how many seconds it was waited."""
        began = told = self.clock.elapsed()
        limit = self.cloud.limits.phase_seconds
        while (state := self._inspect()["State"])["Running"]:
            # A clock that was set back makes it younger than it was watched here.
            age = max(
                self.clock.now() - _epoch_seconds(state["StartedAt"]), self.clock.elapsed() - began
            )
            if age > limit:
                raise PhaseContainerError(
                    f"{what} still runs: measured {age:.0f} s since its start, limit {limit} s "
                    "(limits.phase_seconds). Two migrations side by side would break the schema, "
                    f"so nothing was started. Next: read `docker logs {self.name}` and the "
                    "database's process list; let it end, or raise the limit, then start the "
                    "upgrade again"
                )
            if self.clock.elapsed() - told > TELL_SECONDS or told == began:
                log.warning("%s still runs, %.0f s since its start: waiting for it", what, age)
                told = self.clock.elapsed()
            self.clock.sleep(POLL_SECONDS)
        return self.clock.elapsed() - began

    def _tell(self, text: str) -> str:
        log.warning(text)
        return text

    def _inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.inspect_container(self.name)
        return found

    @property
    def _client(self) -> Any:
        return self.hook.api_client


class DeliveringClient:
    """A Docker API client that puts a file into each container before its start.

    Only a container's own file system ends with the container.
    """

    def __init__(self, client: Any, folder: str, archive: bytes) -> None:
        self._client = client
        self._folder = folder
        self._archive = archive

    def start(self, container: str, *args: Any, **kwargs: Any) -> None:
        """Start a container once it has the file; DockerException if Docker refuses the file."""
        if not self._client.put_archive(container, self._folder, self._archive):
            raise DockerException(f"Docker did not take the file for {self._folder}: not started")
        self._client.start(container, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _epoch_seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
