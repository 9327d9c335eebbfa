"""Say what a verified backup is good for: which release served its schema, and when it was taken.

A dump does not tell. Written beside it, this decides years later whether a release can be brought
back from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class BackupFacts:
    """Describe one backup that was verified by restoring it."""

    cloud: str
    schema: str
    taken: float
    """When its snapshot began, in epoch seconds."""
    nodes: Mapping[str, str]
    """What each node ran at that time: "12.0.3 running"."""

    def served_by(self, release: str) -> bool:
        """Tell whether a node of this release served from this very schema.

        A backup that a run made after contract holds the new schema: the old release is lost on it.
        """
        return f"{release} running" in self.nodes.values()

    @property
    def nodes_in_words(self) -> str:
        """Return what ran at that time, each kind once."""
        return ", ".join(sorted(set(self.nodes.values()))) or "nothing that is known"

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain data, for the file beside the backup."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> BackupFacts:
        """Read facts back; ValueError quotes what is not one."""
        try:
            nodes = {str(name): str(state) for name, state in data["nodes"].items()}
            return cls(str(data["cloud"]), str(data["schema"]), float(data["taken"]), nodes)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"read {str(data)[:80]!r}; expected are cloud, schema, taken and nodes"
            ) from error
