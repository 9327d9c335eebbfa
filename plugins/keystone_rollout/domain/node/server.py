"""A node's server, as one load balancer sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerState:
    """Hold one server's line of `show stat`."""

    name: str
    operational: str
    """UP, DOWN, ... as HAProxy's health check sees it; DRAIN and MAINT show here as well."""
    administrative: str
    """ready, drain or maint: what an operator or this tool asked for."""
    sessions: int

    @property
    def serving(self) -> bool:
        """Tell whether new requests are sent to this server."""
        return self.administrative == "ready" and self.operational == "UP"

    def __str__(self) -> str:
        return f"{self.name} {self.administrative}/{self.operational}, {self.sessions} sessions"
