"""Read a dump's lines: is it whole, and will it stay within the schema it is loaded into?"""

from __future__ import annotations

import re
from collections.abc import Iterable

HEADER_LINES = 10
_TOOL = re.compile(rb"-- (MariaDB|MySQL) dump ")
_DATABASE = re.compile(rb"-- Host: .*?Database: (\S+)")
_TRAILER = b"-- Dump completed"
# A dump of `--databases` would leave the scratch schema and drop the live tables. Values cannot
# look like this: line breaks within them are written as \n.
_LEAVES = re.compile(
    rb"\s*(?:/\*!\d*\s*)?(?:use\s+(?!index\b|key\b)|(?:create|drop|alter)\s+(?:database|schema)\b)",
    re.IGNORECASE,
)


def scan_dump(lines: Iterable[bytes], schema: str) -> list[str]:
    """Return what is wrong with a dump of one schema, line by line and never as a whole."""
    header: list[bytes] = []
    problems: list[str] = []
    last = b""
    for number, line in enumerate(lines, start=1):
        if number <= HEADER_LINES:
            header.append(line)
        if _LEAVES.match(line[:200]):
            problems.append(f"line {number} leaves the schema: {_quoted(line)}")
        last = line if line.strip() else last
    return [*_header_problems(header, schema), *problems, *_trailer_problems(last)]


def _header_problems(header: list[bytes], schema: str) -> list[str]:
    if not any(_TOOL.match(line) for line in header):
        return [f"its first {HEADER_LINES} lines do not name mariadb-dump or mysqldump"]
    names = [match[1].decode(errors="replace") for line in header
             if (match := _DATABASE.match(line))]  # fmt: skip
    if names != [schema]:
        return [f"it is a dump of {', '.join(names) or 'no single schema'}, expected {schema}"]
    return []


def _trailer_problems(last: bytes) -> list[str]:
    if last.startswith(_TRAILER):
        return []
    return [f"it ends with {_quoted(last)}, a complete dump ends with {_TRAILER.decode()!r}"]


def _quoted(line: bytes) -> str:
    # A dump that was cut off ends with rows, and they are nobody's business.
    return repr(line.strip().split(b" VALUES")[0][:60].decode(errors="replace"))
