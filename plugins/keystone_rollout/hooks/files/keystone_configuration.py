"""Read options from a directory with Keystone's configuration."""

from __future__ import annotations

from pathlib import Path

from keystone_rollout.domain.cloud.keystone_conf import option_values

MAIN, DIRECTORY = "keystone.conf", "keystone.conf.d"


class ConfigurationUnreadable(RuntimeError):
    """Say which file of a configuration cannot be read, and who has to be let."""


def find_option(folder: Path, section: str, option: str) -> tuple[Path, str] | None:
    """Return the file whose value of an option counts, and the value; None where none has it.

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
