"""Judge a dump: is it whole, does it stay within its schema, may it be rehearsed with?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.domain.verdict import Verdict

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
    """Return the problems of a dump of one schema; it is read line by line."""
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
    # A dump that was cut off ends with rows, which must not be shown.
    return repr(line.strip().split(b" VALUES")[0][:60].decode(errors="replace"))


def judge_dump(path: str, problems: Sequence[str], size: int) -> Verdict:
    """Judge whether a dump is whole and stays within its schema; ``size`` in bytes."""
    return Verdict(
        ok=not problems,
        check="dump of production",
        object=path,
        measured="; ".join(problems[:3]) or f"complete, {size} bytes",
        limit="one schema, complete, readable",
        consequence="it was not loaded; staging holds the data that reset left",
        next_step="make it with mariadb-dump --single-transaction --routines --triggers of the one "
        "schema, or correct rehearsal.dump or param dump",
    )


def judge_dump_release(
    name: str, dump: RecordedVersions, staging: RecordedVersions, source: str
) -> Verdict:
    """Judge whether the schema versions of a dump are those of the source release.

    ``staging`` holds the versions right after the reset, with every node at the source release.
    Releases that share one schema are not told apart, and need not be.
    """
    return Verdict(
        ok=dump == staging,
        check="release of the dump",
        object=name,
        measured=f"its version table says {dump}",
        limit=f"{staging}, as {source} has it here",
        consequence="nodes of another release would serve it, so it was not put in place",
        next_step=f"take a dump of a cloud that runs {source}, or rehearse from its release with "
        "params source and target",
    )
