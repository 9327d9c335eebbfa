"""Read an image's migrations from the files of the Keystone inside it.

The command that lists them and the parser of its output belong together; a hook runs the one and
hands its output to the other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from keystone_rollout.domain.schema.migrations import ImageMigrations, Migration
from keystone_rollout.domain.schema.versions import Phase, VersionTable

_GREP = ["-exec", "grep", "-HE"]
_FILES = ["{}", "+"]
LISTING_COMMAND = [
    "find", "/", "-xdev", "-path", "*/keystone/common/sql/*", "(",
    "-path", "*_repo/versions/*.py", "-print",
    "-o", "-path", "*/sql/migrations/versions/*", "-name", "*.py",
    *_GREP, "^(revision|down_revision) *=", *_FILES,
    "-o", "-path", "*/sql/migrations/versions/*", "-name", "*_HEAD", *_GREP, "^[0-9a-z]+$", *_FILES,
    "-o", "-path", "*/sql/upgrades.py", *_GREP, "^([A-Z_]+ *=|    ['\"][^'\"]+['\"],$)", *_FILES,
    ")",
]  # fmt: skip
"""One `find` prints the numbered scripts, and the few lines that chain alembic's revisions.

It exits with 1 if a file holds none of these lines; its output is judged, not its exit status.
"""

_FOLDERS = {
    "expand_repo": Phase.EXPAND,
    "data_migration_repo": Phase.MIGRATE,
    "contract_repo": Phase.CONTRACT,
}
_BRANCHES = (Phase.EXPAND, Phase.CONTRACT)
_PLACE = re.compile(r"^(?P<root>/.*/keystone/common/sql)/(?P<path>[^:]+)(?::(?P<line>.*))?$")
_NUMBERED = re.compile(r"(?:legacy_migrations/)?(\w+_repo)/versions/((\d+)_\w+)\.py$")
_REVISION = re.compile(r"migrations/versions/([^/]+)/(expand|contract)/([^/]+)\.py$")
_HEAD = re.compile(r"migrations/versions/(EXPAND|CONTRACT)_HEAD$")
_ASSIGNED = re.compile(r"^(\w+) *= *(.*)$")
_QUOTED = re.compile(r"['\"]([^'\"]+)['\"]")


@dataclass
class _Keystone:
    """The migration files of one installation of Keystone."""

    numbered: dict[Phase, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    scripts: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    heads: dict[str, str] = field(default_factory=dict)
    constants: dict[str, list[str]] = field(default_factory=dict)


def image_migrations(lines: Iterable[str]) -> ImageMigrations:
    """Read the output of ``LISTING_COMMAND``; other lines are skipped.

    An image built from source holds Keystone twice, which is fine if both are alike. Raises
    ValueError if there is no Keystone, if two differ, or if a branch has a gap.
    """
    found: dict[str, _Keystone] = defaultdict(_Keystone)
    for line in lines:
        if match := _PLACE.match(line.strip()):
            _read(found[match["root"]], match["path"], match["line"] or "")
    if not found:
        raise ValueError("no migration scripts found under keystone/common/sql")
    read = {root: _migrations(each) for root, each in found.items()}
    first = next(iter(read.values()))
    if any(each != first for each in read.values()):
        heads = "; ".join(f"{root}: {each}" for root, each in read.items())
        raise ValueError(f"it holds Keystones that do not migrate alike ({heads})")
    return first


def _read(keystone: _Keystone, path: str, line: str) -> None:
    assigned, quoted = _ASSIGNED.match(line), _QUOTED.findall(line)
    if match := _NUMBERED.match(path):
        if match[1] in _FOLDERS:
            keystone.numbered[_FOLDERS[match[1]]][int(match[3])] = match[2]
    elif match := _HEAD.match(path):
        keystone.heads[match[1].lower()] = line
    elif match := _REVISION.match(path):
        script = keystone.scripts[path]
        script |= {"release": match[1], "branch": match[2], "name": match[3]}
        if assigned and quoted:
            script[assigned[1]] = quoted[0]
    elif path == "upgrades.py" and assigned:
        keystone.constants[assigned[1]] = quoted
    elif path == "upgrades.py" and keystone.constants:
        keystone.constants[next(reversed(keystone.constants))] += quoted


def _migrations(keystone: _Keystone) -> ImageMigrations:
    # Yoga ships alembic's folders already, but does not use them: its upgrades.py decides.
    base = "".join(keystone.constants.get("ALEMBIC_INIT_VERSION", []))
    numbered = _numbered(keystone) if keystone.numbered or not base else ()
    if not base:
        return ImageMigrations(VersionTable.MIGRATE, numbered)
    chains = [_chain(keystone, base, phase) for phase in _BRANCHES]
    own = tuple(migration for chain in chains for migration in chain)
    return ImageMigrations(VersionTable.ALEMBIC, own, base, numbered)


def _numbered(keystone: _Keystone) -> tuple[Migration, ...]:
    missing = [folder for folder, phase in _FOLDERS.items() if phase not in keystone.numbered]
    if missing:
        raise ValueError(
            "no migration scripts found under keystone/common/sql in " + ", ".join(missing)
        )
    return tuple(
        Migration(phase, str(number), name)
        for phase in Phase
        for number, name in sorted(keystone.numbered[phase].items())
    )


def _chain(keystone: _Keystone, base: str, phase: Phase) -> list[Migration]:
    """Put one branch's revisions in order, from the base to the head that the image names.

    Only folders that upgrades.py lists count: 28.0.1 has one more, which it does not run.
    """
    releases = keystone.constants.get("RELEASES", [])
    scripts = [
        each
        for each in keystone.scripts.values()
        if each["branch"] == phase.value and each["release"] in releases
    ]
    follows = {each.get("down_revision", ""): each for each in scripts}
    chain: list[Migration] = []
    at = base
    while script := follows.pop(at, None):
        at = script.get("revision", "")
        chain.append(Migration(phase, at, script["name"]))
    if len(chain) != len(scripts) or not chain:
        raise ValueError(
            f"branch {phase.value} is not one chain from {base}: {len(chain)} of {len(scripts)} "
            f"revisions follow each other, the last is {at}"
        )
    head = keystone.heads.get(phase.value, at)
    if head != at:
        raise ValueError(
            f"branch {phase.value} ends at {at}, and its file {phase.name}_HEAD says {head}"
        )
    return chain
