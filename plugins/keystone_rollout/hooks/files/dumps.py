"""Find a dump where it may be, open it packed or plain, and show nothing of what it holds."""

from __future__ import annotations

import gzip
import stat
import zlib
from pathlib import Path
from typing import IO, cast

from keystone_rollout.domain.recovery.dump import scan_dump


def inside(folder: Path, name: str) -> Path | None:
    """Return the file of a name in a folder or below, links and `..` resolved; None elsewhere.

    Nothing is opened. A relative name counts from the folder.
    """
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder.resolve()) else None
    except (OSError, RuntimeError, ValueError):  # a loop of links, or what no file can be called
        return None


def open_dump(path: Path) -> IO[bytes]:
    """Open a dump for reading; one that ends with .gz is unpacked meanwhile."""
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def dump_problems(path: Path, schema: str) -> list[str]:
    """Read a dump of one schema to its last line; return what is wrong, and none of its content."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return ["not readable: it is no file"]
        with open_dump(path) as stream:
            return scan_dump(stream, schema)
    except (OSError, EOFError, zlib.error) as error:
        # What gzip says of a file that is not packed quotes its first bytes.
        why = getattr(error, "strerror", None) or "not packed with gzip, or damaged"
        return [f"not readable: {why}"]
