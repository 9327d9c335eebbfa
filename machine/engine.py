"""The Docker engine: connect, and build, run and commit the images of the project.

Images are built through the engine's API with the classic builder: it needs no buildx, and
unlike BuildKit it leaves no cache behind that only a prune of everyone's cache could remove.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import docker
from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container
from docker.utils.build import tar as build_context

from machine.errors import CommandError

LABEL = "org.keystone-rollout"
"""Label of all that this project makes; its value says for which part of the project."""

INPUTS = "org.keystone-rollout.inputs"
"""Label with the hash of everything an image was made from."""

HOST_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
PROXY_VARIABLES = tuple(name for name in HOST_VARIABLES if name.lower().endswith("_proxy"))

OWN_ERROR = 3
"""Exit code of our own scripts that have printed an "error: " line."""

Note = Callable[[str], None]


def connect() -> docker.DockerClient:
    """Return a client of the local engine."""
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except DockerException as error:
        raise CommandError(
            f"no Docker engine answers: {error}; run lab/setup.sh lab, which starts one"
        ) from error
    return client


def host_environment(names: tuple[str, ...] = HOST_VARIABLES) -> dict[str, str]:
    """Return those of *names* that are set here, to hand on to a container."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def digest(*parts: str | bytes) -> str:
    """Return a short hash of *parts*, in order."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:16]


def digest_directory(directory: Path) -> str:
    """Return a hash of names, modes and contents of all files below *directory*."""
    parts: list[str | bytes] = []
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        executable = "x" if path.stat().st_mode & 0o100 else "-"
        parts += [str(path.relative_to(directory)), executable, path.read_bytes()]
    return digest(*parts)


def image_inputs(client: docker.DockerClient, name: str) -> str | None:
    """Return the hash that *name* was made from; None if there is no such image."""
    try:
        image = client.images.get(name)
    except ImageNotFound:
        return None
    return str((image.labels or {}).get(INPUTS, ""))


def build_image(
    client: docker.DockerClient,
    name: str,
    context: Path,
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    note: Note,
) -> None:
    """Build *name* from the Dockerfile in *context*; a failure carries the last output."""
    files = sorted(str(p.relative_to(context)) for p in context.rglob("*") if p.is_file())
    stream = client.api.build(
        fileobj=cast(IO[bytes], build_context(context, None, None)),
        custom_context=True,
        tag=name,
        rm=True,
        forcerm=True,
        decode=True,
        buildargs={**host_environment(PROXY_VARIABLES), **arguments},
        labels=dict(labels),
    )
    output: list[str] = []
    for message in stream:
        text = str(message.get("stream", "")).strip()
        if text:
            output.append(text)
            note(text.splitlines()[-1][:70])
        if "error" in message:
            tail = "\n".join(output[-15:])
            raise CommandError(f"image {name} ({len(files)} files): {message['error']}\n{tail}")


def execute(container: Container, command: list[str], **options: Any) -> tuple[int, str]:
    """Run *command* in a running container; return its exit code and all it printed."""
    status, output = container.exec_run(command, **options)
    return int(status or 0), bytes(cast(bytes, output) or b"").decode(errors="replace")


def run_once(
    client: docker.DockerClient,
    image: str,
    note: Note,
    *,
    labels: Mapping[str, str],
    log: Path | None = None,
    **options: Any,
) -> Container:
    """Run a container to its end and return it, stopped; the caller removes it.

    Its output is in *log* as well. If it exits non-zero, it is removed, and CommandError is raised
    with its "error: " line, or else with its last lines.
    """
    container = client.containers.run(image, detach=True, labels=dict(labels), **options)
    try:
        output: list[str] = []
        for chunk in container.logs(stream=True, follow=True):
            for line in chunk.decode(errors="replace").splitlines():
                output.append(line)
                if line.startswith("== "):
                    note(line.removeprefix("== "))
        if log is not None:
            log.write_text("\n".join(output) + "\n")
        status = int(container.wait()["StatusCode"])
        if status != 0:
            raise CommandError(failure(image, status, output, log))
    except BaseException:
        container.remove(force=True)
        raise
    return container


def failure(image: str, status: int, output: Sequence[str], log: Path | None) -> str:
    """Say why a container failed: its own "error: " line if it printed one, else its end."""
    reasons = [line.removeprefix("error: ") for line in output if line.startswith("error: ")]
    where = f"; log {log}" if log else ""
    if status == OWN_ERROR and reasons:
        return f"{reasons[-1]}{where}"
    tail = "\n".join(output[-25:])
    return f"container of {image} exited with {status} (allowed: 0){where}\n{tail}"
