"""A dump that cannot be written is a failure that says why and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO

import pytest

from keystone_rollout.hooks.database.backup import BackupFailed, DatabaseBackup
from keystone_rollout.hooks.files import whole_file


class Client:
    """A database client that prints a dump."""

    def dump(self, _arguments: list[str], stream: IO[bytes]) -> None:
        stream.write(b"-- a dump\n" * 10_000)


def full(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DatabaseBackup, "_tables", lambda *_: {})
    backup = DatabaseBackup.__new__(DatabaseBackup)
    backup.folder, backup.schema, backup.client = tmp_path, "keystone", Client()  # type: ignore[assignment]
    monkeypatch.setattr(whole_file.os, "fsync", full)
    with pytest.raises(BackupFailed) as failed:
        backup.verify("nightly")
    assert str(failed.value) == (
        "the dump could not be written: [Errno 28] No space left on device. Nothing was changed. "
        "Next: free space or repair, then clear this task"
    )
    assert list(tmp_path.iterdir()) == []
