"""Read options from a directory with Keystone's configuration."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from airflow.sdk import BaseHook

from keystone_rollout.domain.cloud.keystone_conf import option_values, override_text
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.database_url import DatabaseUrlError, lead_to, limit_lock_wait
from keystone_rollout.domain.schema.target import PhaseTarget, live_target
from keystone_rollout.hooks.files.cloud_file import project_path

MAIN, DIRECTORY = "keystone.conf", "keystone.conf.d"


class ConfigurationUnreadable(RuntimeError):
    """A file of a configuration that cannot be read, and the account that has to read it."""


def find_option(folder: Path, section: str, option: str) -> tuple[Path, str] | None:
    """Return the file whose value of an option counts, and the value; None if no file has it.

    Raises ConfigurationUnreadable.
    """
    found: list[tuple[Path, str]] = []
    for path in configuration_files(folder):
        try:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise _unreadable(path, error) from error
        found += [(path, value) for value in option_values(text, section, option)]
    return found[-1] if found else None


def configuration_files(folder: Path) -> list[Path]:
    """Return the files that Keystone reads by itself, in its order; ConfigurationUnreadable."""
    directory = folder / DIRECTORY
    try:
        more = [path for path in directory.iterdir() if path.match("[!.]*.conf")]
    except FileNotFoundError:
        more = []
    except OSError as error:
        raise _unreadable(directory, error) from error
    return [folder / MAIN, *sorted(more)]


def _unreadable(path: Path, error: OSError) -> ConfigurationUnreadable:
    return ConfigurationUnreadable(
        f"{path} cannot be read ({error.strerror}), but it has to be. Next: let the account that "
        "runs Airflow's tasks read it"
    )


PARENT, FOLDER, FILE = "/etc", "keystone-rollout.d", "lock_wait.conf"


class PhaseConfigurationError(RuntimeError):
    """A fault of the upgrade container's configuration that keeps a phase from being started."""


@dataclass(frozen=True)
class PhaseConfiguration:
    """A phase's additions to the configuration: options, and the file that they name."""

    arguments: list[str]
    archive: bytes = field(repr=False)
    lock_wait_timeout: int
    own: bool

    def __str__(self) -> str:
        whose = "as [database] connection says itself" if self.own else "limits.lock_wait_timeout"
        return f"migrations wait at most {self.lock_wait_timeout} s for a metadata lock ({whose})"


def phase_configuration(cloud: Cloud, target: PhaseTarget | None = None) -> PhaseConfiguration:
    """Return the configuration of a phase; PhaseConfigurationError if it cannot be made.

    The live schema is reached as keystone.conf says. For any other ``target`` the account is that
    of its connection; driver, server and options stay, because they are right in the container.
    """
    container = cloud.upgrade_container
    if any(part.startswith("--config-") for part in container.command):
        raise PhaseConfigurationError(
            "upgrade_container.command names configuration files of its own; allowed is none, so "
            "that the database migrated is the one in keystone.conf. Next: put their options into "
            f"keystone.conf of {container.configuration}"
        )
    folder = project_path(container.configuration)
    source, connection = _connection(folder)
    try:
        if target not in (None, live_target(cloud)):
            assert target is not None
            connection = _lead_to(connection, target)
        limited = limit_lock_wait(connection, cloud.limits.lock_wait_timeout)
    except DatabaseUrlError as error:
        raise PhaseConfigurationError(
            f"[database] connection in {source}: {error}. Without a limit a migration would queue "
            "behind any open transaction, and every client behind it. Next: correct it there"
        ) from None
    return PhaseConfiguration(
        _options((folder / DIRECTORY).is_dir()),
        _archive(source, limited.text),
        limited.seconds,
        limited.own,
    )


def _connection(folder: Path) -> tuple[Path, str]:
    """Return the file whose value counts, and the value."""
    try:
        found = find_option(folder, "database", "connection")
    except ConfigurationUnreadable as error:
        raise PhaseConfigurationError(
            f"{error}. Without it nobody can limit the migrations' lock wait"
        ) from error
    if found is None:
        raise PhaseConfigurationError(
            f"{folder / MAIN} has no option `connection` in section [database], which names the "
            "database to migrate. Next: add it there"
        )
    return found


def _lead_to(connection: str, target: PhaseTarget) -> str:
    owner = BaseHook.get_connection(target.keystone)
    account = ":".join(quote(each or "", safe="") for each in (owner.login, owner.password))
    return lead_to(connection, target.schema, account)


def _options(has_directory: bool) -> list[str]:
    """Return keystone-manage's options; what a later one names prevails.

    A directory is added and no file, because --config-file would switch off the files that
    Keystone finds by itself. --config-dir does so with directories: the one there is named again.
    """
    own = ["--config-dir", f"{PARENT}/{FOLDER}"]
    return ["--config-dir", f"/etc/keystone/{DIRECTORY}", *own] if has_directory else own


def _archive(source: Path, connection: str) -> bytes:
    """Return a tar of the file, owned as its source: whoever may read that may read this."""
    status = source.stat()
    content = override_text(connection).encode("utf-8", errors="surrogateescape")
    directory = tarfile.TarInfo(FOLDER)
    directory.type, directory.mode = tarfile.DIRTYPE, 0o755
    file = tarfile.TarInfo(f"{FOLDER}/{FILE}")
    file.mode, file.uid, file.gid = status.st_mode & 0o444, status.st_uid, status.st_gid
    file.size = len(content)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(directory)
        archive.addfile(file, io.BytesIO(content))
    return buffer.getvalue()
