"""Read the texts of an image's migration scripts: the command that prints them, and its parser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from keystone_rollout.domain.schema.listing import FOLDERS
from keystone_rollout.domain.schema.migrations import Migration
from keystone_rollout.domain.schema.versions import Phase

_PLACES = {**FOLDERS, "expand": Phase.EXPAND, "contract": Phase.CONTRACT}
_LINE = re.compile(
    r"^(?P<root>/.*/keystone/common/sql)/(?:legacy_migrations/|migrations/versions/[^/]+/|)"
    r"(?P<folder>\w+?)(?:/versions)?/(?P<name>[^/:]+)\.py:(?P<line>.*)$"
)


def scripts_command(migrations: Sequence[Migration]) -> list[str]:
    """Return one `find` that prints these scripts, every line after its file's path.

    It exits with 1 where a script is empty; its output is judged, not its exit status.
    """
    named = [("-o", "-name", f"{name}.py") for name in sorted({each.name for each in migrations})]
    return [
        "find", "/", "-xdev", "-path", "*/keystone/common/sql/*", "-type", "f",
        "(", *[word for words in named for word in words][1:], ")",
        "-exec", "grep", "-H", "", "{}", "+",
    ]  # fmt: skip


def script_texts(lines: Iterable[str], migrations: Sequence[Migration]) -> dict[Migration, str]:
    """Return the text of each script that was printed; of two Keystones the first one's.

    Scripts of the same name in other folders are passed over. What was not printed is not there.
    """
    wanted = {(each.phase, each.name): each for each in migrations}
    found: dict[Migration, dict[str, list[str]]] = {}
    for line in lines:
        match = _LINE.match(line)
        phase = _PLACES.get(match["folder"]) if match else None
        migration = wanted.get((phase, match["name"])) if match and phase else None
        if match and migration:
            found.setdefault(migration, {}).setdefault(match["root"], []).append(match["line"])
    return {
        migration: "\n".join(next(iter(roots.values()))) + "\n"
        for migration, roots in found.items()
    }
