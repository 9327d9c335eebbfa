"""Hold what one migration script does to the schema, as far as its text says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

UNKNOWN_TABLES = "touches unknown tables"


class Act(StrEnum):
    """Name what happens to a table, in the words of the page."""

    APPEARS = "appears"
    ALTERED = "altered"
    DROPPED = "dropped"
    WRITTEN = "rows written"
    TRIGGERED = "gets a trigger"


@dataclass
class ScriptEffects:
    """Collect the tables and triggers that a script names, and what could not be understood.

    ``unknown`` holds why the script may touch more than ``tables`` says; empty where it does not.
    """

    title: str = ""
    tables: dict[str, list[Act]] = field(default_factory=dict)
    triggers_made: list[str] = field(default_factory=list)
    triggers_dropped: list[str] = field(default_factory=list)
    unnamed_triggers: bool = False
    unknown: list[str] = field(default_factory=list)

    def touch(self, table: str, act: Act) -> None:
        """Note that something happens to a table; said twice it is noted once."""
        acts = self.tables.setdefault(table, [])
        if act not in acts:
            acts.append(act)

    def doubt(self, reason: str) -> None:
        """Note what could not be understood."""
        if reason not in self.unknown:
            self.unknown.append(reason)

    @property
    def empty(self) -> bool:
        """Tell whether the script does nothing at all: a placeholder."""
        return not (self.tables or self.triggers_made or self.triggers_dropped
                    or self.unnamed_triggers or self.unknown)  # fmt: skip

    def sentence(self) -> str:
        """Return what the script does, in one line."""
        parts = [f"{table} {', '.join(acts)}" for table, acts in self.tables.items()]
        if self.triggers_made:
            parts.append(f"creates {_triggers(self.triggers_made)}")
        if self.unnamed_triggers:
            parts.append("creates triggers")
        if self.triggers_dropped:
            parts.append(f"drops {_triggers(self.triggers_dropped)}")
        if self.unknown:
            parts.append(f"{UNKNOWN_TABLES} ({'; '.join(self.unknown)})")
        return "; ".join(parts) or "changes nothing"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for XCom and plan.json."""
        return {
            "title": self.title,
            "tables": {table: [act.value for act in acts] for table, acts in self.tables.items()},
            "triggers_made": list(self.triggers_made),
            "triggers_dropped": list(self.triggers_dropped),
            "unnamed_triggers": self.unnamed_triggers,
            "unknown": list(self.unknown),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ScriptEffects:
        """Rebuild what ``to_dict`` gave; TypeError where a field is not known."""
        tables = {table: [Act(act) for act in acts] for table, acts in fields["tables"].items()}
        return cls(**{**fields, "tables": tables})


def _triggers(names: list[str]) -> str:
    return f"trigger{'s' if len(names) != 1 else ''} {', '.join(names)}"
