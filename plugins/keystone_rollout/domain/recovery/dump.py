"""What a dump holds: is it whole, does it stay within its schema, may it be rehearsed with?

Whatever is wrong is said without a word of the file: it may be no dump, but somebody's key.
"""

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
    rb"\s*(?:/\*!\d*\s*)?(?:(use)\s+(?!index\b|key\b)|(create|drop|alter)\s+(?:database|schema)\b)",
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
        if match := _LEAVES.match(line[:200]):
            word = (match[1] or match[2]).decode().upper()
            problems.append(f"line {number} leaves the schema with {word}")
        last = line if line.strip() else last
    return [*_header_problems(header, schema), *problems, *_trailer_problems(last)]


def _header_problems(header: list[bytes], schema: str) -> list[str]:
    if not any(_TOOL.match(line) for line in header):
        return [f"its first {HEADER_LINES} lines do not name mariadb-dump or mysqldump"]
    names = [match[1].decode(errors="replace") for line in header
             if (match := _DATABASE.match(line))]  # fmt: skip
    if names != [schema]:
        what = "another schema" if names else "no single schema"
        return [f"it is a dump of {what}, expected {schema}"]
    return []


def _trailer_problems(last: bytes) -> list[str]:
    if last.startswith(_TRAILER):
        return []
    return [f"its last line is not {_TRAILER.decode()!r}, as a complete dump's"]


class DumpRefused(ValueError):
    """The verdict on a dump that is not where the cloud file lets one be; it was not opened."""

    def __init__(self, name: str, folder: str | None) -> None:
        self.verdict = Verdict(
            ok=False,
            check="dump of production",
            object=name,
            measured=f"outside {folder}" if folder else "not the dump that the cloud file names",
            limit=f"a file in {folder} (rehearsal.dump_directory), links resolved"
            if folder
            else "rehearsal.dump alone, because the cloud file has no rehearsal.dump_directory",
            consequence="it was not opened, and nothing of it was loaded",
            next_step="put it there and name it by its file name"
            if folder
            else "name a folder with dumps in rehearsal.dump_directory, and put it there",
        )
        super().__init__(str(self.verdict))


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
