"""Remember which servers an upgrade has taken out of rotation, so that one is never forgotten.

HAProxy's administrative state outlives an aborted run, and does not say who set it: a server that
an operator put into maint stays there, one that an upgrade left behind is returned.
"""

from __future__ import annotations

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.run.lock import Mark
from keystone_rollout.hooks.database.own_schema import RolloutTable


class ServersOut:
    """The marks of servers, in the cloud's own database."""

    def __init__(self, cloud: Cloud) -> None:
        self.marks = RolloutTable(cloud, "server_out")

    def all(self) -> dict[str, Mark]:
        """Return the marks by server."""
        rows = self.marks.rows("select_servers_out")
        return {
            str(server): Mark(str(run_id), str(attempt), str(since))
            for server, run_id, attempt, since in rows
        }

    def mark(self, server: str, run_id: str, attempt: str) -> None:
        """Mark a server before it leaves the rotation; an earlier attempt at it is over then."""
        self.marks.write("replace_server_out", server=server, run_id=run_id, attempt=attempt)

    def clear(self, server: str) -> None:
        """Forget a server's mark once it serves again."""
        self.marks.write("delete_server_out", server=server)
