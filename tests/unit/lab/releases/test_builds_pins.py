"""The pins files leave nothing to the package index: a release is built the same next year."""

import re
from pathlib import Path

import pytest

from lab import paths

FOLDER = paths.PINS
FILES = sorted(FOLDER.glob("*.txt"))
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==\d[A-Za-z0-9.+]*")
# What the lab's keystone.conf, the builder and the database URL want beyond Keystone's own list.
NEEDED = {"pbr", "pymysql", "python-memcached", "sqlalchemy", "oslo-cache", "dogpile-cache"}


def _names(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_line_is_one_exact_version(path: Path) -> None:
    wrong = [line for line in path.read_text().splitlines() if not PIN.fullmatch(line)]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_package_is_pinned_twice_and_none_that_is_needed_is_missing(path: Path) -> None:
    names = _names(path)
    assert sorted(names) == sorted(set(names))
    assert NEEDED - set(names) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_named_after_a_release_and_perhaps_a_python(path: Path) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(-python\d+\.\d+)?", path.stem)
