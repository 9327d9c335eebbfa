"""The package repository of each release, built from PyPI with pinned dependencies."""

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import docker

from lab import engine, paths
from lab.catalogue import Release
from lab.errors import LabError
from lab.progress import Report

PIP_CACHE = "keystone-rollout-pip"
PIP_CACHE_MOUNT = "/var/cache/pip"
SOURCES_VARIABLE = "LAB_KEYSTONE_SOURCES"
"""Directory with ``keystone-VERSION.tar.gz`` of releases that PyPI does not have (10, 11)."""

BUNDLE_IN_CONTAINER = "/etc/ssl/certs/ca-certificates.crt"
BUNDLE_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


def repository(release: Release) -> Path:
    """Return the directory of the repository of *release*."""
    return paths.PACKAGES / release.version


def inputs_file(release: Release) -> Path:
    """Return the file with the hash that the repository was made from."""
    return paths.PACKAGES / f"{release.version}.inputs"


def read_package_hash(release: Release) -> str:
    """Return the hash of the repository's content."""
    index = repository(release) / "Packages"
    if not index.exists():
        raise LabError(f"package repository of {release.version} is missing: {index}")
    return engine.digest(index.read_bytes())


def copy_ca_bundle() -> None:
    """Copy the host's CA bundle to where builds mount it from."""
    candidates = [os.environ.get(name, "") for name in BUNDLE_VARIABLES]
    candidates += [BUNDLE_IN_CONTAINER, str(ssl.get_default_verify_paths().cafile or "")]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            shutil.copyfile(candidate, paths.CA_BUNDLE)
            return
    raise LabError(
        "no CA bundle found on this host, read "
        + ", ".join(c for c in candidates if c)
        + "; install ca-certificates or set SSL_CERT_FILE"
    )


def index_environment() -> dict[str, str]:
    """Return the package index and proxies of this host as variables for a container."""
    environment = engine.host_environment()
    if "PIP_INDEX_URL" not in environment:
        configured = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        if configured:
            environment["PIP_INDEX_URL"] = configured
    return environment


def ensure_repository(client: docker.DockerClient, release: Release, report: Report) -> None:
    """Build the packages of *release* unless they were made from the present inputs."""
    image = f"keystone-rollout/builder:{release.suite}"
    pins = paths.PINS / f"{release.version}.txt"
    builder = engine.image_inputs(client, image) or "unknown"
    inputs = engine.digest(builder, pins.read_bytes())
    stamp = inputs_file(release)
    if (
        stamp.exists()
        and stamp.read_text() == inputs
        and (repository(release) / "Packages").exists()
    ):
        return
    with report.step(f"packages of keystone {release.version}") as step:
        copy_ca_bundle()
        stamp.unlink(missing_ok=True)
        repository(release).mkdir(parents=True, exist_ok=True)
        client.volumes.create(PIP_CACHE, labels={engine.LABEL: engine.LABEL_VALUE})
        container = engine.run_once(
            client,
            image,
            step.note,
            command=[release.version, release.python],
            environment={
                **index_environment(),
                **{name: BUNDLE_IN_CONTAINER for name in BUNDLE_VARIABLES},
                "PIP_CACHE_DIR": f"{PIP_CACHE_MOUNT}/{builder}",
                "OWNER": f"{os.getuid()}:{os.getgid()}",
            },
            volumes=_volumes(release, pins),
            # A third of the build's CPU time would otherwise go into the layer file system.
            tmpfs={"/tmp": "exec,size=1g", "/opt": "exec,size=1g"},
        )
        (paths.LOG / f"packages-{release.version}.log").write_bytes(container.logs())
        container.remove(force=True)
        stamp.write_text(inputs)


def _volumes(release: Release, pins: Path) -> dict[str, dict[str, str]]:
    """Return the mounts of the build: pins, CA bundle, pip cache, result, given sources."""
    volumes = {
        str(pins): {"bind": "/requirements.txt", "mode": "ro"},
        str(paths.CA_BUNDLE): {"bind": BUNDLE_IN_CONTAINER, "mode": "ro"},
        PIP_CACHE: {"bind": PIP_CACHE_MOUNT, "mode": "rw"},
        str(repository(release)): {"bind": "/repository", "mode": "rw"},
    }
    sources = os.environ.get(SOURCES_VARIABLE, "")
    if sources:
        volumes[str(Path(sources).resolve())] = {"bind": "/sources", "mode": "ro"}
    elif release.major < 12:
        raise LabError(
            f"keystone {release.version} is not on PyPI; put keystone-{release.version}.tar.gz "
            f"into a directory and set {SOURCES_VARIABLE} to it"
        )
    return volumes
