"""Images of this project: the base of all of them, and builds of those whose inputs changed."""

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.models.containers import Container

from machine import engine, paths
from machine.engine import INPUTS, Note
from machine.errors import CommandError
from machine.progress import Report

PREFIX = "keystone-rollout"
"""Of the names of this project's images; machine/images/base/make.sh has it, too."""


@dataclass(frozen=True)
class Image:
    """An image built from a Dockerfile of ours.

    :param context: folder of the Dockerfile
    :param labels: by which the image is found again, and removed
    """

    name: str
    context: Path
    parent: str
    labels: dict[str, str]
    arguments: dict[str, str] = field(default_factory=dict)


def base(suite: str) -> str:
    """Return the name of the base image of a Debian *suite*."""
    return f"{PREFIX}/base:{suite}"


def ensure_base(client: docker.DockerClient, suite: str, report: Report) -> None:
    """Make the base image of *suite* if it is missing or out of date."""
    script = paths.IMAGES / "base" / "make.sh"
    wanted = hashlib.sha256(script.read_bytes()).hexdigest()[:16]
    if engine.image_inputs(client, base(suite)) == wanted:
        return
    with report.step(f"base image {suite}"):
        log = paths.LOG / f"base-{suite}.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [str(script), suite],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=paths.ROOT,
                check=False,
            )
        if done.returncode != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise CommandError(
                f"base image {suite} could not be made (exit {done.returncode}), log {log}\n{tail}"
            )


def ensure_image(client: docker.DockerClient, image: Image, report: Report) -> None:
    """Build *image* unless it exists and was made from the present files."""
    parent = engine.image_inputs(client, image.parent)
    if parent is None:
        raise CommandError(f"image {image.parent} is missing, which {image.name} is built from")
    inputs = engine.digest(
        parent or image.parent, engine.digest_directory(image.context), repr(image.arguments)
    )
    if engine.image_inputs(client, image.name) == inputs:
        return
    with report.step(f"image {short(image.name)}") as step:
        labels = {**image.labels, INPUTS: inputs}
        engine.build_image(client, image.name, image.context, image.arguments, labels, step.note)


@dataclass(frozen=True)
class Installation:
    """An image that is committed from a container of its parent.

    So neither a package index nor a compiler ends up in a layer.

    :param name: repository and tag
    :param made_from: contents that the image depends on, beside its parent
    :param command: Dockerfile's line with the command of its containers
    :param labels: by which the image is found again, and removed
    """

    name: str
    parent: str
    made_from: Sequence[str | bytes]
    command: str
    labels: dict[str, str]


def ensure_installation(
    client: docker.DockerClient,
    wanted: Installation,
    install: Callable[[Note], Container],
    report: Report,
) -> None:
    """Make an image unless it exists and was made from the present contents.

    :param install: runs a container of the parent to its end, and returns it
    """
    inputs = engine.digest(
        engine.image_inputs(client, wanted.parent) or "", *wanted.made_from, wanted.command
    )
    if engine.image_inputs(client, wanted.name) == inputs:
        return
    with report.step(f"image {short(wanted.name)}") as step:
        container = install(step.note)
        try:
            labels = {**wanted.labels, INPUTS: inputs}
            line = "LABEL " + " ".join(f"{name}={value}" for name, value in labels.items())
            repository, tag = wanted.name.rsplit(":", 1)
            container.commit(repository, tag, changes=[wanted.command, line])
        finally:
            container.remove(force=True)


def short(name: str) -> str:
    """Return an image's name without the prefix of this project."""
    return name.removeprefix(f"{PREFIX}/")
