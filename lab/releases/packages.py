"""The package repository of each build, made from pinned dependencies, and which are served."""

import os
from collections.abc import Iterable
from pathlib import Path

import docker

from lab import paths
from lab.releases import distribution
from lab.releases.builds import Build
from lab.topology import LABELS
from machine import engine, package_index
from machine import paths as machine_paths
from machine.errors import CommandError
from machine.images import PREFIX
from machine.package_index import BUNDLE_IN_CONTAINER, BUNDLE_VARIABLES
from machine.progress import Report

PIP_CACHE = "keystone-rollout-pip"
PIP_CACHE_MOUNT = "/var/cache/pip"


def repository(build: Build) -> Path:
    """Return the directory of the repository of *build*."""
    return paths.PACKAGES / build.key


def inputs_file(build: Build) -> Path:
    """Return the file with the hash that the repository was made from."""
    return paths.PACKAGES / f"{build.key}.inputs"


def serve(builds: Iterable[Build]) -> None:
    """Let the repository server answer for *builds* under their versions, and for no other.

    A node's package source names a version; the upgrade decides which build of it that is.
    """
    paths.SERVED_PACKAGES.mkdir(parents=True, exist_ok=True)
    wanted = {build.version: Path("..") / build.key for build in builds}
    for link in paths.SERVED_PACKAGES.iterdir():
        if link.name not in wanted:
            link.unlink()
    for version, repository_ in wanted.items():
        new = paths.SERVED_PACKAGES / f".{version}"
        new.unlink(missing_ok=True)
        new.symlink_to(repository_)
        new.replace(paths.SERVED_PACKAGES / version)


def read_package_hash(build: Build) -> str:
    """Return the hash of the repository's content."""
    index = repository(build) / "Packages"
    if not index.exists():
        raise CommandError(f"package repository of {build.key} is missing: {index}")
    return engine.digest(index.read_bytes())


def repository_inputs(build: Build, builder: str) -> str:
    """Return a hash of the inputs of the packages; *builder* is that of the build image."""
    return engine.digest(
        builder,
        build.pins.read_bytes(),
        build.interpreter,
        build.release.series.api,
        build.distribution,
    )


def ensure_repository(client: docker.DockerClient, build: Build, report: Report) -> None:
    """Make the packages of *build* unless they were made from the present inputs.

    Raises CommandError with the reason, for example a release that PyPI does not have.
    """
    image = f"{PREFIX}/builder:{build.suite}"
    builder = engine.image_inputs(client, image) or "unknown"
    inputs = repository_inputs(build, builder)
    stamp = inputs_file(build)
    if stamp.exists() and stamp.read_text() == inputs and (repository(build) / "Packages").exists():
        return
    with report.step(f"packages of keystone {build.key}") as step:
        package_index.copy_ca_bundle()
        stamp.unlink(missing_ok=True)
        repository(build).mkdir(parents=True, exist_ok=True)
        client.volumes.create(PIP_CACHE, labels=LABELS)
        container = engine.run_once(
            client,
            image,
            step.note,
            labels=LABELS,
            log=paths.LOG / f"packages-{build.key}.log",
            command=[
                build.version,
                build.interpreter,
                build.release.series.api,
                *build.configuration_files,
            ],
            environment={
                **package_index.index_environment(),
                **{name: BUNDLE_IN_CONTAINER for name in BUNDLE_VARIABLES},
                "PIP_CACHE_DIR": f"{PIP_CACHE_MOUNT}/{builder}",
                "OWNER": f"{os.getuid()}:{os.getgid()}",
            },
            volumes=_volumes(build),
            # Otherwise a third of the build's CPU time would go into the layer file system.
            tmpfs={"/tmp": "exec,size=1g", "/opt": "exec,size=1g"},
        )
        container.remove(force=True)
        stamp.write_text(inputs)


def _volumes(build: Build) -> dict[str, dict[str, str]]:
    """Return the mounts of the build: pins, CA bundle, pip cache, result, operator's archives."""
    volumes = {
        str(build.pins): {"bind": "/requirements.txt", "mode": "ro"},
        str(machine_paths.CA_BUNDLE): {"bind": BUNDLE_IN_CONTAINER, "mode": "ro"},
        PIP_CACHE: {"bind": PIP_CACHE_MOUNT, "mode": "rw"},
        str(repository(build)): {"bind": "/repository", "mode": "rw"},
    }
    given = distribution.find(build) if build.distribution else None
    if given is not None:
        for path in (given.file, *given.configuration):
            volumes[str(path)] = {"bind": f"/distribution/{path.name}", "mode": "ro"}
    return volumes
