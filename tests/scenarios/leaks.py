"""Search everything a run leaves behind for secrets; what is found is named, never printed."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

TOKEN = re.compile(rb"gAAAAA[A-Za-z0-9_-]{60,}")
SQLITE = b"SQLite format 3\x00"
NAMED_BY = 160
"""Characters of a command line by which a leak in it is named."""

SHORTEST = 8
"""Characters below which a text is no secret, but would be found everywhere."""


@dataclass(frozen=True)
class Leak:
    """Say which secret was found where."""

    secret: str
    place: str

    def __str__(self) -> str:
        return f"{self.secret} is in {self.place}"


Secrets = Mapping[str, bytes]


def find_leaks(place: str, content: bytes, secrets: Secrets) -> list[Leak]:
    """Return every secret that is in a content, and "a fernet token" where one is."""
    found = [Leak(name, place) for name, value in secrets.items() if value in content]
    if TOKEN.search(content):
        found.append(Leak("a fernet token", place))
    return found


def without_secrets(content: bytes, secrets: Secrets) -> str:
    """Return the beginning of a content, each secret and token in it masked, to name it by."""
    for value in secrets.values():
        content = content.replace(value, b"***")
    return TOKEN.sub(b"***", content)[:NAMED_BY].decode(errors="replace")


def search(contents: Iterable[tuple[str, bytes]], secrets: Secrets) -> list[Leak]:
    """Return the leaks of all contents, each secret and place once."""
    leaks = [leak for place, content in contents for leak in find_leaks(place, content, secrets)]
    return list(dict.fromkeys(leaks))


def files_below(*roots: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file below the roots; of an SQLite database its values as well.

    A value that spans several pages of a database file is not in one piece there.
    """
    for root in roots:
        for path in sorted([root] if root.is_file() else root.rglob("*")):
            if not path.is_file():
                continue
            content = path.read_bytes()
            yield str(path), content
            if content.startswith(SQLITE):
                yield f"{path} (values)", b"\n".join(_values(path))


def _values(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            # The name comes from the database itself, and identifiers cannot be parameters.
            quoted = '"' + table.decode().replace('"', '""') + '"'
            for row in connection.execute(f"SELECT * FROM {quoted}"):  # noqa: S608
                yield from (value for value in row if isinstance(value, bytes))


def secret_lines(name: str, text: str) -> dict[str, bytes]:
    """Return the lines of a secret file that are secret: a key's body, without its frame."""
    lines = [line.strip().rstrip("=") for line in text.splitlines() if not line.startswith("-----")]
    return {
        f"{name}, line {number}": line.encode()
        for number, line in enumerate(lines, start=1)
        if len(line) >= SHORTEST
    }
