"""The images of Airflow's containers, from Debian and PyPI alone, made if their inputs changed.

The base is that of all images. A container installs the packages from PyPI, and its result is
committed, so that neither a package index nor a CA bundle nor a compiler ends up in a layer.
"""

import re
import shutil
from pathlib import Path

import docker
from docker.models.containers import Container
from docker.types import Mount

from machine import engine
from machine import paths as machine_paths
from machine.engine import Note
from machine.errors import CommandError
from machine.files import write_private
from machine.images import (
    PREFIX,
    Image,
    Installation,
    base,
    ensure_base,
    ensure_image,
    ensure_installation,
)
from machine.package_index import BUNDLE_IN_CONTAINER, copy_ca_bundle, index_environment
from machine.progress import Report
from production import paths
from production.settings import LABELS

SUITE = "bookworm"
AIRFLOW = "airflow"
AIRFLOW_DEBIAN = "airflow-debian"
INSTALLER = paths.IMAGES / AIRFLOW / "install.sh"
COMMAND = 'CMD ["airflow", "version"]'


def _image(name: str, directory: str) -> Image:
    return Image(f"{PREFIX}/{name}:latest", paths.IMAGES / directory, base(SUITE), LABELS)


SERVICES = {
    "airflow": (_image("postgres", "postgres"),),
    "celery": (_image("redis", "redis"),),
}
"""Images that a Dockerfile makes as they are, by profile."""


def ensure(client: docker.DockerClient, profiles: list[str], report: Report) -> None:
    """Make every image of the profiles that is missing or out of date."""
    machine_paths.make_state_directories()
    ensure_base(client, SUITE, report)
    for profile in profiles:
        for image in SERVICES[profile]:
            ensure_image(client, image, report)
    ensure_image(client, _image(AIRFLOW_DEBIAN, AIRFLOW), report)
    _ensure_airflow(client, report)


def _ensure_airflow(client: docker.DockerClient, report: Report) -> None:
    """Install the pinned Python packages into Airflow's image."""
    wanted = Installation(
        f"{PREFIX}/{AIRFLOW}:latest",
        f"{PREFIX}/{AIRFLOW_DEBIAN}:latest",
        (INSTALLER.read_bytes(), *(file.read_bytes() for file in paths.REQUIREMENTS)),
        COMMAND,
        LABELS,
    )
    folder = paths.STATE / "build"

    def install(note: Note) -> Container:
        _write_build_folder(folder)
        copy_ca_bundle()
        try:
            return engine.run_once(
                client,
                wanted.parent,
                note,
                labels=LABELS,
                log=machine_paths.LOG / "image-airflow.log",
                command=["bash", "/requirements/install.sh"],
                # Not `volumes`: the engine would commit those as volumes of the image, and no
                # container of it could start, because a volume cannot lie over a file.
                mounts=[
                    _read_only("/requirements", folder),
                    _read_only(BUNDLE_IN_CONTAINER, machine_paths.CA_BUNDLE),
                ],
                tmpfs={"/tmp": "exec,size=2g"},
            )
        finally:
            shutil.rmtree(folder)

    ensure_installation(client, wanted, install, report)


def _read_only(target: str, source: Path) -> Mount:
    return Mount(target, str(source), type="bind", read_only=True)


def _write_build_folder(folder: Path) -> None:
    """Write the installer's inputs; the index may have a password in its address."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for file, name in zip(paths.REQUIREMENTS, ("project.txt", "production.txt"), strict=True):
        shutil.copyfile(file, folder / name)
    shutil.copyfile(paths.ROOT / "requirements-dev.txt", folder / "uv.txt")
    shutil.copyfile(INSTALLER, folder / "install.sh")
    write_private(folder / "index", _assignments(index_environment()))


def _assignments(variables: dict[str, str]) -> str:
    """Return variables as shell assignments."""
    for name, value in variables.items():
        if re.search(r"['\n]", value):
            raise CommandError(f"{name} has a quotation mark or a newline, which no address has")
    return "".join(f"{name}='{value}'\n" for name, value in variables.items())
