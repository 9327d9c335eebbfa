"""The settings of `make airflow`, and the variables of docker-compose.yaml made from them."""

import os
from dataclasses import dataclass
from pathlib import Path

from machine import engine
from machine import paths as machine_paths
from machine.errors import CommandError
from machine.files import write_private
from production import paths

PROJECT = "keystone-rollout-airflow"
LABELS = {engine.LABEL: "airflow"}
LAB_NETWORK = "keystone-rollout-lab"
"""Docker-compose.yaml's name of the other network in it, which Compose 1.29 makes as well."""

SOCKET = Path("/var/run/docker.sock")
CONFIGURATION = """\
# Settings of your own for Airflow, in airflow.cfg's format; read at the start of each container.
# What docker-compose.yaml sets prevails. Mode 600, so it may hold a password.
"""


@dataclass(frozen=True)
class Settings:
    """The settings of one installation.

    :param port: of the page and the API, on 127.0.0.1
    :param url: address under which a browser reaches the page; empty: that of the port
    :param files: folder with the files that the cloud files name (configurations, keys, backups),
        mounted under its own path; its subfolder ``clouds`` replaces include/clouds. None:
        .airflow/files
    :param celery: tasks run in a worker, which may be on another machine
    """

    port: int = 8080
    url: str = ""
    files: Path | None = None
    celery: bool = False

    @property
    def address(self) -> str:
        """Return the page's address on this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def profiles(self) -> list[str]:
        """Return the profiles of docker-compose.yaml."""
        return ["airflow", "celery"] if self.celery else ["airflow"]

    def check(self) -> None:
        """Refuse a folder that does not exist, before anything is made."""
        self._files()

    def variables(self, network_prefix: str) -> dict[str, str]:
        """Return the variables of docker-compose.yaml; none of them is a secret."""
        files = self._files()
        clouds = files / "clouds"
        return {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_PROFILES": ",".join(self.profiles),
            "ROLLOUT_PROJECT": str(paths.ROOT),
            "ROLLOUT_FILES": str(files),
            "ROLLOUT_CLOUDS": str(clouds if clouds.is_dir() else paths.ROOT / "include" / "clouds"),
            "ROLLOUT_USER": f"{os.getuid()}:{os.getgid()}",
            "ROLLOUT_DOCKER_GROUP": str(SOCKET.stat().st_gid if SOCKET.exists() else os.getgid()),
            "ROLLOUT_PORT": str(self.port),
            "ROLLOUT_URL": self.url or self.address,
            "ROLLOUT_STARTED_WITH": read_at_the_start(),
            "ROLLOUT_EXECUTOR": "CeleryExecutor" if self.celery else "LocalExecutor",
            "LAB_NETWORK": network_prefix,
        }

    def _files(self) -> Path:
        if self.files is None:
            return paths.FILES
        folder = self.files.expanduser().resolve()
        if not folder.is_dir():
            raise CommandError(
                f"FILES={self.files} is no folder on this machine; nothing was started. Next: make "
                "it, readable by this account alone, or leave FILES out"
            )
        return folder


def read_at_the_start() -> str:
    """Return a hash of what a container reads only at its start: secrets, settings, plugins.

    Inside a container a replaced file is still the old one, and an imported module stays. The
    hash includes the random keys, so nobody can try out a password on it.
    """
    files = [*paths.SECRETS.glob("*"), *paths.CONFIGURATION.glob("airflow.cfg")]
    files += (paths.ROOT / "plugins").rglob("*.py")
    parts = [part for file in sorted(files) for part in (str(file), file.read_bytes())]
    return engine.digest(*parts)


def write(settings: Settings, network_prefix: str) -> None:
    """Write compose.env, for us and for use by hand, and make the containers' folders."""
    settings.check()
    paths.make_state_directories()
    machine_paths.STATE.mkdir(exist_ok=True)
    configuration = paths.CONFIGURATION / "airflow.cfg"
    if not configuration.exists():
        write_private(configuration, CONFIGURATION)
    variables = settings.variables(network_prefix)
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    write_private(paths.COMPOSE_ENV, text)


def read_written() -> dict[str, str]:
    """Return the variables of the installation that was started last."""
    if not paths.COMPOSE_ENV.exists():
        raise CommandError(
            f"{paths.COMPOSE_ENV} does not exist: Airflow was not started; make airflow"
        )
    lines = paths.COMPOSE_ENV.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
