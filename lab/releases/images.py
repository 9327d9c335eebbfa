"""The lab's images, and the inputs of each."""

import docker
from docker.models.containers import Container

from lab import paths
from lab.releases.builds import Build
from lab.releases.packages import read_package_hash
from lab.topology import LABELS, NETWORK
from machine import engine
from machine.engine import Note
from machine.images import PREFIX, Image, Installation, base, ensure_installation
from machine.progress import Report

INSTALL = """
set -e
echo 'deb [trusted=yes] http://packages/{release} ./' > /etc/apt/sources.list.d/keystone.list
apt-get update -q -o Dir::Etc::sourcelist=sources.list.d/keystone.list \
  -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
apt-get install -q -y --no-install-recommends {packages}
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
"""


def builder(suite: str) -> Image:
    """Return the image that Keystone packages of *suite* are built in."""
    arguments = {"SUITE": suite}
    if suite != "bullseye":
        arguments["PYTHON_PACKAGES"] = ""
    return _image(f"builder:{suite}", "builder", base(suite), arguments)


def runtime(suite: str) -> Image:
    """Return the image that Keystone packages of *suite* are installed into."""
    arguments = {"SUITE": suite}
    if suite != "bullseye":
        arguments["PYTHON_PACKAGES"] = "libpython3.11"
    return _image(f"runtime:{suite}", "runtime", base(suite), arguments)


def bare_node(suite: str) -> Image:
    """Return a node without Keystone."""
    return _image(f"bare-node:{suite}", "node", runtime(suite).name, {"SUITE": suite})


def _image(name: str, folder: str, parent: str, arguments: dict[str, str]) -> Image:
    return Image(f"{PREFIX}/{name}", paths.IMAGES / folder, parent, LABELS, arguments)


SERVICES = tuple(
    _image(f"{name}:latest", name, base("bookworm"), {})
    for name in ("packages", "database", "memcached", "haproxy")
)


def ensure_node(client: docker.DockerClient, build: Build, report: Report) -> None:
    """Make the node image in which *build* and its neighbour are installed."""
    _install(
        client,
        bare_node(build.suite),
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
        runtime(build.suite),
        f"{PREFIX}/upgrade",
        build,
        f"keystone={build.version}-1",
        'CMD ["keystone-manage", "--help"]',
        report,
    )


def _install(
    client: docker.DockerClient,
    parent: Image,
    repository: str,
    build: Build,
    packages: str,
    command: str,
    report: Report,
) -> None:
    """Install *packages* from the release's repository into *parent*, commit it to *repository*.

    The image is kept under the build's own key; its version is the lab's present name for it.
    A Dockerfile could not do this under both builders: the repository is only reachable on the
    lab's network, and copying the packages in would leave them in a layer.
    """
    name = f"{repository}:{build.key}"
    script = INSTALL.format(release=build.version, packages=packages)

    def install(note: Note) -> Container:
        return engine.run_once(
            client,
            parent.name,
            note,
            labels=LABELS,
            command=["sh", "-c", script],
            network=NETWORK,
        )

    made_from = (read_package_hash(build), script)
    wanted = Installation(name, parent.name, made_from, command, LABELS)
    ensure_installation(client, wanted, install, report)
    client.images.get(name).tag(repository, build.version)
