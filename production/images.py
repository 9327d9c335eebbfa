"""The images of Airflow's containers, made where their inputs changed, from Debian and PyPI alone.

The same base as the lab's, and the same way with PyPI: what comes from there is installed by a
container whose result is committed, so that neither a package index nor a CA bundle nor a compiler
ends up in a layer.
"""

import re
import shutil
from pathlib import Path

import docker
from docker.types import Mount

from lab import engine
from lab import paths as lab_paths
from lab.errors import LabError
from lab.images import PREFIX, Image, base, ensure_base, ensure_image
from lab.packages import BUNDLE_IN_CONTAINER, copy_ca_bundle, index_environment
from lab.progress import Report
from production import paths

SUITE = "bookworm"
AIRFLOW = "airflow"
AIRFLOW_DEBIAN = "airflow-debian"
INSTALLER = paths.IMAGES / AIRFLOW / "install.sh"
COMMAND = 'CMD ["airflow", "version"]'


def _image(name: str, directory: str) -> Image:
    return Image(f"{PREFIX}/{name}:latest", str(paths.IMAGES / directory), base(SUITE))


SERVICES = {
    "airflow": (_image("postgres", "postgres"),),
    "celery": (_image("redis", "redis"),),
}
"""Images that a Dockerfile makes as they are, by profile."""


def ensure(client: docker.DockerClient, profiles: list[str], report: Report) -> None:
    """Make every image that the profiles need and that is missing or out of date."""
    lab_paths.make_state_directories()
    ensure_base(client, SUITE, report)
    for profile in profiles:
        for image in SERVICES[profile]:
            ensure_image(client, image, report)
    ensure_image(client, _image(AIRFLOW_DEBIAN, AIRFLOW), report)
    _ensure_airflow(client, report)


def _ensure_airflow(client: docker.DockerClient, report: Report) -> None:
    """Install the pinned Python packages into Airflow's image."""
    parent = f"{PREFIX}/{AIRFLOW_DEBIAN}:latest"
    inputs = engine.digest(
        engine.image_inputs(client, parent) or "",
        INSTALLER.read_bytes(),
        *(file.read_bytes() for file in paths.REQUIREMENTS),
        COMMAND,
    )
    if engine.image_inputs(client, f"{PREFIX}/{AIRFLOW}:latest") == inputs:
        return
    folder = paths.STATE / "build"
    with report.step("image airflow: pinned Python packages") as step:
        _write_build_folder(folder)
        copy_ca_bundle()
        try:
            container = engine.run_once(
                client,
                parent,
                step.note,
                log=lab_paths.LOG / "image-airflow.log",
                command=["bash", "/requirements/install.sh"],
                # Not `volumes`: the engine would commit those as volumes of the image, and no
                # container of it could start, because a volume cannot lie over a file.
                mounts=[
                    Mount("/requirements", str(folder), type="bind", read_only=True),
                    Mount(
                        BUNDLE_IN_CONTAINER, str(lab_paths.CA_BUNDLE), type="bind", read_only=True
                    ),
                ],
                tmpfs={"/tmp": "exec,size=2g"},
            )
            try:
                labels = f"LABEL {engine.LABEL}={engine.LABEL_VALUE} {engine.INPUTS}={inputs}"
                container.commit(f"{PREFIX}/{AIRFLOW}", "latest", changes=[COMMAND, labels])
            finally:
                container.remove(force=True)
        finally:
            shutil.rmtree(folder)


def _write_build_folder(folder: Path) -> None:
    """Write what the installer reads; the index may have a password in its address."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for file, name in zip(paths.REQUIREMENTS, ("project.txt", "production.txt"), strict=True):
        shutil.copyfile(file, folder / name)
    shutil.copyfile(paths.ROOT / "requirements-dev.txt", folder / "uv.txt")
    shutil.copyfile(INSTALLER, folder / "install.sh")
    lab_paths.write_private(folder / "index", _assignments(index_environment()))


def _assignments(variables: dict[str, str]) -> str:
    """Return variables as shell assignments."""
    for name, value in variables.items():
        if re.search(r"['\n]", value):
            raise LabError(f"{name} has a quotation mark or a newline, which no address has")
    return "".join(f"{name}='{value}'\n" for name, value in variables.items())
