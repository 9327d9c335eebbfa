"""Write a file so that others find it whole or not at all, and remove what killed writers left.

A writer holds a lock on its unfinished file, which the kernel gives up with the process: so a file
that can be locked is nobody's.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

PART = ".part"
UNFINISHED = (f"*{PART}", "*.rehearsal", "*.partial")
"""The last two are how earlier versions of this project named theirs."""


@contextmanager
def whole_file(path: Path, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """Yield a stream whose content takes the path's place at the block's end, if that is reached.

    However the block ends, nothing unfinished is left.

    :param mode: what the new file allows, less this process's umask
    """
    part, stream = _unfinished(path, mode)
    try:
        with stream:
            yield stream
            # What a disk has no room for may be noticed as late as here.
            stream.flush()
            os.fsync(stream.fileno())
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _unfinished(path: Path, mode: int) -> tuple[Path, IO[bytes]]:
    while True:
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
        stream = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
            # Between the two lines above somebody else may have taken it for a dead writer's.
            if part.exists():
                return part, stream
        except BaseException:
            stream.close()
            part.unlink(missing_ok=True)
            raise
        stream.close()


def remove_unfinished(folders: Iterable[Path]) -> list[Path]:
    """Remove what writers that are dead have left in these folders; return what was removed.

    What cannot be removed is logged, and stays.
    """
    removed = []
    for path in (path for folder in folders for name in UNFINISHED for path in folder.glob(name)):
        try:
            if _remove_unless_held(path):
                removed.append(path)
        except FileNotFoundError:  # finished meanwhile
            continue
        except OSError as error:
            log.warning("%s, which a killed run left, could not be removed: %s", path, error)
    return removed


def _remove_unless_held(path: Path) -> bool:
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # It may be finished by now, and have another name.
        path.unlink(missing_ok=True)
    return True
