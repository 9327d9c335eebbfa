"""Keystone from a folder instead of PyPI: source archives or wheels that the operator has."""

import os
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from lab.releases.builds import Build
from machine import engine
from machine.errors import CommandError

VARIABLE = "KEYSTONE_DIST"
"""Names the folder; releases that it lacks come from PyPI."""


@dataclass(frozen=True)
class Distribution:
    """The files of one release in the folder.

    ``configuration`` are files beside a wheel, which often lacks those of the source archive.
    """

    file: Path
    configuration: tuple[Path, ...] = ()

    def digest(self) -> str:
        """Return a hash of all files: a build is made again when any of them changes."""
        parts: list[str | bytes] = []
        for path in (self.file, *self.configuration):
            parts += [path.name, path.read_bytes()]
        return engine.digest(*parts)


def find(build: Build) -> Distribution | None:
    """Return the files of a release in the folder; None without a folder or without that release.

    Raises CommandError if the folder does not exist, or if files are missing.
    """
    folder = _folder()
    if folder is None:
        return None
    archive = folder / f"keystone-{build.version}.tar.gz"
    wheels = sorted(folder.glob(f"keystone-{build.version}-*.whl"))
    if archive.exists():
        file = archive
    elif wheels:
        file = wheels[0]
    else:
        return None
    if len(wheels) > 1 and file != archive:
        raise CommandError(
            f"{VARIABLE} {folder} holds {', '.join(wheel.name for wheel in wheels)}; allowed is "
            f"one wheel of {build.version}. Nothing was changed. Next: remove the others"
        )
    beside = folder / f"keystone-{build.version}"
    found = tuple(beside / name for name in build.configuration_files if (beside / name).is_file())
    _check_configuration(build, file, found)
    return Distribution(file, found)


def wanted(build: Build) -> str:
    """Return the names of the files that a release is taken from, for a message."""
    return f"keystone-{build.version}.tar.gz or keystone-{build.version}-*.whl"


def _folder() -> Path | None:
    name = os.environ.get(VARIABLE, "")
    if not name:
        return None
    folder = Path(name).expanduser().resolve()
    if not folder.is_dir():
        raise CommandError(
            f"{VARIABLE} is {name!r}, and there is no such folder. Nothing was changed. Next: name "
            "the folder with source archives or wheels of Keystone, or leave it out for PyPI"
        )
    return folder


def _check_configuration(build: Build, file: Path, beside: tuple[Path, ...]) -> None:
    """Refuse a release that could not start, before anything is made."""
    there = {Path(name).name for name in _members(file)} | {path.name for path in beside}
    missing = [name for name in build.configuration_files if name not in there]
    if missing:
        raise CommandError(
            f"{file} lacks {' and '.join(missing)}, without which keystone {build.version} does "
            "not start. Nothing was changed. Next: put the source archive "
            f"keystone-{build.version}.tar.gz beside it, or its {' and '.join(missing)} into "
            f"{file.parent / f'keystone-{build.version}'}"
        )


def _members(file: Path) -> list[str]:
    """Return the names of an archive's or wheel's members."""
    try:
        if file.suffix == ".whl":
            with zipfile.ZipFile(file) as wheel:
                return wheel.namelist()
        with tarfile.open(file, "r:gz") as archive:
            return archive.getnames()
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise CommandError(
            f"{file} cannot be read: {error}. Nothing was changed. Next: fetch it again"
        ) from error
