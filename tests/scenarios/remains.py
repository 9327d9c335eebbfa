"""Gather everything that a campaign has left, in which no secret may be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import docker
from docker.errors import DockerException

from lab.airflow.upgrade_run import UpgradeRun
from lab.paths import CLIENT_KEY, CREDENTIAL_KEYS, FERNET_KEYS, SECRETS
from tests.scenarios.leaks import Secrets, files_below, secret_lines

UPGRADE_IMAGES = "keystone-rollout/upgrade"
NODE_IMAGES = "keystone-rollout/node"


def lab_secrets() -> Secrets:
    """Return every secret of the lab: passwords, the client's private key, Keystone's keys."""
    found = {name: value.encode() for name, value in json.loads(SECRETS.read_text()).items()}
    for path in (CLIENT_KEY, *sorted(FERNET_KEYS.iterdir()), *sorted(CREDENTIAL_KEYS.iterdir())):
        found |= secret_lines(f"{path.parent.name}/{path.name}", path.read_text())
    return found


def left_by(runs: Iterable[UpgradeRun]) -> Iterator[tuple[str, bytes]]:
    """Yield what runs have left: their directories, their logs, their Airflows' homes."""
    homes = set()
    for run in runs:
        homes.add(run.airflow.site.home)
        yield from files_below(run.log)
        if run.directory is not None:
            yield from files_below(run.directory)
    yield from files_below(*sorted(homes))


def image_histories(client: docker.DockerClient) -> Iterator[tuple[str, bytes]]:
    """Yield history and configuration of every image that a phase or a node runs from."""
    for name in (UPGRADE_IMAGES, NODE_IMAGES):
        for image in client.images.list(name):
            described = [*image.history(), image.attrs]
            yield f"image {', '.join(image.tags)}", json.dumps(described, default=str).encode()


def inspect_phases() -> Callable[[], set[bytes]]:
    """Return a function that describes each container of an upgrade image once it is there.

    They are removed as soon as they have ended, so they have to be looked at while they run.
    """
    client = docker.from_env()
    known: set[str] = set()

    def look() -> set[bytes]:
        found = set()
        # A container may end between being listed and being looked at.
        with suppress(DockerException):
            for image in client.images.list(UPGRADE_IMAGES):
                described = client.api.containers(all=True, filters={"ancestor": image.id})
                for one in (one for one in described if one["Id"] not in known):
                    found.add(json.dumps(client.api.inspect_container(one["Id"])).encode())
                    known.add(one["Id"])
        return found

    return look
