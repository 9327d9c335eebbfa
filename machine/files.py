"""Files that are replaced in one step, and files that only their owner can read."""

import os
from pathlib import Path


def write_private(path: Path, content: str | bytes) -> None:
    """Write *path* so that it is never readable by others, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step: a reader never sees half of it, not even after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
