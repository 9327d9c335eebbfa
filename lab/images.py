"""The lab's images: what each is made from, and making only those whose inputs changed."""

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import docker

from lab import engine, paths
from lab.catalogue import Build
from lab.errors import LabError
from lab.packages import read_package_hash
from lab.progress import Report

PREFIX = "keystone-rollout"
INSTALL = """
set -e
echo 'deb [trusted=yes] http://packages/{release} ./' > /etc/apt/sources.list.d/keystone.list
apt-get update -q -o Dir::Etc::sourcelist=sources.list.d/keystone.list \
  -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
apt-get install -q -y --no-install-recommends {packages}
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
"""


@dataclass(frozen=True)
class Image:
    """One image built from a Dockerfile of ours."""

    name: str
    directory: str
    parent: str
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def context(self) -> Path:
        """Return the directory of the Dockerfile."""
        return paths.IMAGES / self.directory


def base(suite: str) -> str:
    """Return the name of the base image of a Debian *suite*."""
    return f"{PREFIX}/base:{suite}"


def builder(suite: str) -> Image:
    """Return the image that Keystone packages of *suite* are built in."""
    arguments = {"SUITE": suite}
    if suite != "bullseye":
        arguments["PYTHON_PACKAGES"] = ""
    return Image(f"{PREFIX}/builder:{suite}", "builder", base(suite), arguments)


def runtime(suite: str) -> Image:
    """Return the image that Keystone packages of *suite* are installed into."""
    arguments = {"SUITE": suite}
    if suite != "bullseye":
        arguments["PYTHON_PACKAGES"] = "libpython3.11"
    return Image(f"{PREFIX}/runtime:{suite}", "runtime", base(suite), arguments)


def bare_node(suite: str) -> Image:
    """Return a node without Keystone."""
    return Image(
        f"{PREFIX}/bare-node:{suite}", "node", f"{PREFIX}/runtime:{suite}", {"SUITE": suite}
    )


SERVICES = tuple(
    Image(f"{PREFIX}/{name}:latest", name, base("bookworm"))
    for name in ("packages", "database", "memcached", "haproxy")
)


def ensure_base(client: docker.DockerClient, suite: str, report: Report) -> None:
    """Make the base image of *suite* where it is missing."""
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
            raise LabError(
                f"base image {suite} could not be made (exit {done.returncode}), log {log}\n{tail}"
            )


def ensure_image(client: docker.DockerClient, image: Image, report: Report) -> None:
    """Build *image* unless it exists and was made from the present files."""
    parent = engine.image_inputs(client, image.parent)
    if parent is None:
        raise LabError(f"image {image.parent} is missing, which {image.name} is built from")
    inputs = engine.digest(
        parent or image.parent, engine.digest_directory(image.context), repr(image.arguments)
    )
    if engine.image_inputs(client, image.name) == inputs:
        return
    with report.step(f"image {image.name.removeprefix(PREFIX + '/')}") as step:
        engine.build_image(client, image.name, image.context, image.arguments, inputs, step.note)


def ensure_node(client: docker.DockerClient, build: Build, report: Report) -> None:
    """Make the node image in which *build* and its neighbour are installed."""
    _install(
        client,
        f"{PREFIX}/bare-node:{build.suite}",
        f"{PREFIX}/node",
        build,
        f"keystone={build.version}-1 lab-neighbour={build.version}-1",
        'CMD ["/usr/local/sbin/node-entrypoint"]',
        report,
    )


def ensure_upgrade(client: docker.DockerClient, build: Build, report: Report) -> None:
    """Make the upgrade container's image: keystone-manage of *build*, no service."""
    _install(
        client,
        f"{PREFIX}/runtime:{build.suite}",
        f"{PREFIX}/upgrade",
        build,
        f"keystone={build.version}-1",
        'CMD ["keystone-manage", "--help"]',
        report,
    )


def _install(
    client: docker.DockerClient,
    parent: str,
    repository: str,
    build: Build,
    packages: str,
    command: str,
    report: Report,
) -> None:
    """Install *packages* from the release's repository into *parent*, commit it to *repository*.

    The image is kept under the build's own key; its version is what the lab at present calls it.
    A Dockerfile could not do this under both builders: the repository is only reachable on the
    lab's network, and copying the packages in would leave them in a layer.
    """
    name = f"{repository}:{build.key}"
    script = INSTALL.format(release=build.version, packages=packages)
    inputs = engine.digest(
        engine.image_inputs(client, parent) or "",
        read_package_hash(build),
        script,
        command,
    )
    if engine.image_inputs(client, name) != inputs:
        with report.step(f"image {name.removeprefix(PREFIX + '/')}") as step:
            container = engine.run_once(
                client,
                parent,
                step.note,
                command=["sh", "-c", script],
                network=engine.NETWORK,
            )
            try:
                labels = f"LABEL {engine.LABEL}={engine.LABEL_VALUE} {engine.INPUTS}={inputs}"
                container.commit(repository, build.key, changes=[command, labels])
            finally:
                container.remove(force=True)
    client.images.get(name).tag(repository, build.version)
