"""A file is whole or not there, and what a killed writer leaves is removed, but no living one's."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keystone_rollout.hooks.files.project import PLUGINS
from keystone_rollout.hooks.files.whole_file import remove_unfinished, whole_file

WRITER = """
import sys, time
from pathlib import Path
from keystone_rollout.hooks.files.whole_file import whole_file
with whole_file(Path(sys.argv[1])) as stream:
    stream.write(b"half of it")
    stream.flush()
    print("writes", flush=True)
    time.sleep(60)
"""


def test_it_takes_its_place_at_the_end_and_only_its_user_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("before")
    with whole_file(path) as stream:
        stream.write(b"after")
        assert path.read_text() == "before"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("after", 0o600)
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("before")

    def write() -> None:
        with whole_file(path) as stream:
            stream.write(b"after")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        write()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_disk_that_is_full_at_the_last_moment_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "full"

    def write() -> None:
        with whole_file(path) as stream, open("/dev/full", "wb") as full:
            os.dup2(full.fileno(), stream.fileno())
            stream.write(b"less than a buffer")

    with pytest.raises(OSError, match="No space left"):
        write()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_writer_left_is_removed_and_never_a_living_ones(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "dump.sql")]
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writes\n"
        (unfinished,) = tmp_path.iterdir()
        assert remove_unfinished([tmp_path]) == []
        assert unfinished.exists()
        writer.kill()
    assert remove_unfinished([tmp_path]) == [unfinished]
    assert list(tmp_path.iterdir()) == []


def test_what_earlier_versions_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = ["dump.part", "production.sql.rehearsal", "process.partial"]
    for name in [*left, "dump.sql", "dump.json"]:
        (tmp_path / name).touch()
    removed = remove_unfinished([tmp_path, tmp_path / "not there"])
    assert sorted(path.name for path in removed) == sorted(left)
    assert sorted(os.listdir(tmp_path)) == ["dump.json", "dump.sql"]
