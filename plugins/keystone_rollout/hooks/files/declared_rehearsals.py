"""Find the clouds that declare a rehearsal, cheaply enough for every parse of the DAGs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from keystone_rollout.hooks.files.cloud_file import CloudFileError, cloud_path, parse_cloud

_SECTION = re.compile(r"^[\"']?rehearsal\b", re.MULTILINE)
# A file without the section costs one read; only one that has it is parsed and validated.


@dataclass(frozen=True)
class DeclaredRehearsal:
    """Hold a cloud's schedule, or why it has none."""

    cloud: str
    schedule: str | None
    problem: str = ""


def declared_rehearsals(always: str) -> list[DeclaredRehearsal]:
    """Return the clouds that declare a rehearsal, and ``always`` whether it declares one or not.

    A file that is wrong, wherever in it, has no schedule but a problem: the others keep theirs.
    """
    folder = cloud_path(always).parent
    names = {path.stem for path in folder.glob("*.yaml")}
    found = [_declared(name) for name in sorted(names | {always})]
    return [each for each in found if each.schedule or each.problem or each.cloud == always]


def _declared(name: str) -> DeclaredRehearsal:
    path = cloud_path(name)
    try:
        text = path.read_text(encoding="utf-8")
        if not _SECTION.search(text):
            return DeclaredRehearsal(name, None)
        cloud = parse_cloud(text, path.name)
    except OSError as error:
        return DeclaredRehearsal(name, None, f"{path.name} cannot be read ({error.strerror})")
    except CloudFileError as error:
        return DeclaredRehearsal(name, None, str(error))
    except Exception as error:  # whatever it is, it must not take the other DAGs away
        return DeclaredRehearsal(name, None, f"{path.name}: {type(error).__name__}: {error}")
    return DeclaredRehearsal(name, cloud.rehearsal.schedule if cloud.rehearsal else None)
