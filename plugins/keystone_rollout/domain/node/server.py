"""A node's server, as one load balancer sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerState:
    """One server's line of `show stat`."""

    name: str
    operational: str
    """UP, DOWN, ... by HAProxy's health check, or DRAIN or MAINT."""
    administrative: str
    """ready, drain or maint: the state that an operator or this tool has set."""
    sessions: int

    @property
    def serving(self) -> bool:
        """Tell whether new requests are sent to this server."""
        return self.administrative == "ready" and self.operational == "UP"

    def __str__(self) -> str:
        return f"{self.name} {self.administrative}/{self.operational}, {self.sessions} sessions"
