"""Read the release and the migrations of the upgrade image, and reach the engine that has it."""

from __future__ import annotations

from typing import Any

from airflow.providers.docker.hooks.docker import DockerHook
from airflow.sdk.exceptions import AirflowException
from docker.errors import DockerException, ImageNotFound
from docker.utils.socket import SocketError
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import Timeout
from urllib3.exceptions import HTTPError

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.listing import LISTING_COMMAND, image_migrations
from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.files.keystone_configuration import (
    PhaseConfigurationError,
    phase_configuration,
)

DOCKER = "unix://var/run/docker.sock"
ENGINE_ERRORS = (DockerException, AirflowException, HTTPError, SocketError, OSError)
"""The errors of an engine that refuses, is not there, or goes away in the middle of an answer."""


def docker_hook(cloud: Cloud) -> DockerHook:
    """Return a hook for this machine's Docker, each of whose answers has a limit."""
    return DockerHook(docker_conn_id=None, base_url=DOCKER, timeout=cloud.limits.answer_seconds)


def engine_words(error: Exception, cloud: Cloud) -> str:
    """Return an engine's error in words, and the limit if it took too long to answer."""
    words = f"Docker at {DOCKER} answers {str(error) or type(error).__name__}"
    if "timed out" not in words.lower() and "Timeout" not in type(error).__name__:
        return words
    return f"{words} (limit for one answer {cloud.limits.answer_seconds} s, limits.answer_seconds)"


class UpgradeImageError(RuntimeError):
    """A fault of the upgrade image."""


class UpgradeImage:
    """The image of the target release, read without touching the database."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.container = cloud.upgrade_container
        self.hook = docker_hook(cloud)

    def digest(self) -> str:
        """Return the image's id; UpgradeImageError if it is not on this Docker host."""
        try:
            client: Any = self.hook.api_client
            return str(client.inspect_image(self.container.image)["Id"])
        except ImageNotFound as error:
            raise UpgradeImageError(
                f"image {self.container.image} is not on this Docker host. Next: pull or build it"
            ) from error
        except ENGINE_ERRORS as error:
            raise self._unanswered(error) from error

    def migrations(self) -> ImageMigrations:
        """Return the migrations that the image carries, read in one start of a container."""
        # A message about a folder that may not be read could land in the middle of a line.
        listing = self.output(LISTING_COMMAND, stderr=False)
        try:
            return image_migrations(listing.splitlines())
        except ValueError as error:
            raise UpgradeImageError(f"image {self.container.image}: {error}") from error

    def release(self) -> str:
        """Return the version that the image's keystone-manage reports."""
        return self.output([self.container.command[0], "--version"]).split()[-1]

    def output(self, command: list[str], *, stderr: bool = True) -> str:
        """Run a command in a container without network; return its output."""
        try:
            return self._output(self.hook.api_client, command, stderr)
        except ENGINE_ERRORS as error:
            raise self._unanswered(error) from error

    def _output(self, client: Any, command: list[str], stderr: bool) -> str:
        container = client.create_container(
            image=self.container.image,
            entrypoint=[""],
            command=command,
            host_config=client.create_host_config(network_mode="none"),
        )
        try:
            client.start(container["Id"])
            self._wait(client, container["Id"], command)
            return str(client.logs(container["Id"], stderr=stderr).decode(errors="replace"))
        finally:
            client.remove_container(container["Id"], force=True)

    def _wait(self, client: Any, container: str, command: list[str]) -> None:
        # Docker's client waits without an end unless it is told not to.
        limit = self.cloud.limits.phase_seconds
        try:
            client.wait(container, timeout=limit)
        except (Timeout, RequestsConnectionError) as error:
            if "timed out" not in str(error).lower():
                raise
            raise UpgradeImageError(
                f"image {self.container.image}: {command[0]} has not ended: measured more than "
                f"{limit} s, the limit (limits.phase_seconds), and was ended. Nothing was changed. "
                "Next: start the image by hand and see what it waits for"
            ) from error

    def _unanswered(self, error: Exception) -> UpgradeImageError:
        return UpgradeImageError(
            f"image {self.container.image} cannot be read: {engine_words(error, self.cloud)}. "
            "Nothing was changed. Next: repair Docker, then start again"
        )

    def configuration_findings(self) -> list[str]:
        """Return the faults of the configuration that is mounted into the container."""
        folder = project_path(self.container.configuration)
        if not folder.is_dir():
            return [f"directory {self.container.configuration} does not exist"]
        if not (folder / "keystone.conf").is_file():
            return [f"{self.container.configuration} holds no keystone.conf"]
        try:
            phase_configuration(self.cloud)
        except PhaseConfigurationError as error:
            return [str(error)]
        return []
