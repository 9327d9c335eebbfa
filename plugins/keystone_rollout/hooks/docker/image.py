"""Read the release and the migrations of the upgrade image."""

from __future__ import annotations

from typing import Any

from airflow.providers.docker.hooks.docker import DockerHook
from docker.errors import APIError, DockerException, ImageNotFound

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.listing import LISTING_COMMAND, image_migrations
from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.files.keystone_configuration import (
    PhaseConfigurationError,
    phase_configuration,
)

DOCKER = "unix://var/run/docker.sock"


class UpgradeImageError(RuntimeError):
    """A fault of the upgrade image."""


class UpgradeImage:
    """The image of the target release, read without touching the database."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.container = cloud.upgrade_container
        self.hook = DockerHook(docker_conn_id=None, base_url=DOCKER, timeout=60)

    def digest(self) -> str:
        """Return the image's id; UpgradeImageError if it is not on this Docker host."""
        try:
            client: Any = self.hook.api_client
            return str(client.inspect_image(self.container.image)["Id"])
        except ImageNotFound as error:
            raise UpgradeImageError(
                f"image {self.container.image} is not on this Docker host. Next: pull or build it"
            ) from error
        except DockerException as error:
            raise UpgradeImageError(f"Docker at {DOCKER} does not answer: {error}") from error

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
        client = self.hook.api_client
        try:
            container = client.create_container(
                image=self.container.image,
                entrypoint=[""],
                command=command,
                host_config=client.create_host_config(network_mode="none"),
            )
        except APIError as error:
            raise UpgradeImageError(f"image {self.container.image}: {error}") from error
        try:
            client.start(container["Id"])
            client.wait(container["Id"])
            return str(client.logs(container["Id"], stderr=stderr).decode(errors="replace"))
        finally:
            client.remove_container(container["Id"], force=True)

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
