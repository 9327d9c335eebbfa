"""Provide the tasks of a restore with their systems, and find out how far it has come.

The database and the nodes say how far: a killed run leaves an open restore, which the next run
resumes.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.recovery.restore import OpenRestore, restore_section
from keystone_rollout.domain.run.events import RestoreChanged, RestoreOutcome, node_changed
from keystone_rollout.domain.run.systems import Swap
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.domain.schema.table_moves import replaced_schema
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.procedures.restore.outage import PlannedOutage
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


class RestoreSession:
    """One run of keystone_restore."""

    def __init__(self, run: RolloutRun) -> None:
        self.run = run
        self.cloud = run.cloud
        self.history = run.restores
        self.load = run.scratch
        self.live = run.schema.live

    @cached_property
    def outage(self) -> PlannedOutage:
        """Return the planned outage; its connections are looked up at first use."""
        return PlannedOutage(self.run, self.note)

    def section(self) -> RestoreChanged:
        """Return the plan and the progress of this run; RuntimeError without a plan."""
        section = restore_section(self.run.directory.events(RestoreChanged))
        if section is None or section.planned is None:
            raise RuntimeError(
                f"run {self.run.directory.run_id} has no plan. Next: clear task plan_restore, not "
                "just this one"
            )
        return section

    def record(self, **fields: Any) -> bool:
        """Record the report's facts about this restore; return whether they were written."""
        return self.run.directory.record(RestoreChanged(**fields))

    def note(self, node: str, state: NodeState, text: str) -> None:
        """Log and record a change of one node; the first that is up ends the downtime."""
        log.info("%s: %s (%s)", node, state, text)
        self.run.directory.record(node_changed(node, state, text))
        if state is NodeState.UP:
            self.keep_downtime()

    def servers(self) -> list[str]:
        """Return all server names of the cloud, in its order."""
        return [node.server for node in self.cloud.nodes]

    def serving(self) -> list[str]:
        """Return the servers that every load balancer sends requests to."""
        return self.outage.servers.serving(self.servers())

    def taken_out_by_hand(self, names: Collection[str]) -> list[str]:
        """Return in words which nodes' servers a person has taken out: no upgrade, no restore."""
        if self.history.open() is not None:
            return []
        marks = self.run.marks.all()
        servers = {self.cloud.node(name).server for name in names} - marks.keys()
        found = {server: self.outage.servers.taken_out(server) for server in sorted(servers)}
        return [f"{server} {words}" for server, words in found.items() if words]

    def keep_downtime(self) -> None:
        """Record the time at which one server, or all, serve again; the first one counts."""
        try:
            restore, serving = self.history.open(), self.serving()
            if restore is None or not serving:
                return
            self.history.keep_served(restore.replaced, self.run.clock.now())
            if len(serving) == len(self.servers()):
                self.history.keep_ended(restore.replaced, self.run.clock.now())
            kept = self.history.open() or restore
            self.record(began=kept.began, served=kept.served, ended=kept.ended)
        except Exception as error:
            # Measuring must not keep the next server from being returned.
            log.warning("The downtime could not be written down: %s", error)

    def backup(self) -> Path:
        """Return the planned backup."""
        return self.run.backups.folder / str(self.section().backup)

    def backup_versions(self) -> RecordedVersions:
        """Return the schema versions of the backup."""
        return self.section().backup_versions or RecordedVersions()

    def swap(self, restore: OpenRestore) -> Swap:
        """Return the swap of an open restore."""
        return self.load.swap(restore.replaced)

    def reasons_to_swap(self) -> list[str]:
        """Return the differences in structure between the live schema and the loaded backup."""
        here, there = self.live.versions(), self.load.schema.versions()
        # A run that was killed right after it moved the tables has not made their triggers again.
        triggers = not self.moved(self.history.open())
        differing = self.load.differing(triggers)
        reasons = [f"schema at {here}, backup at {there}"] if here != there else []
        return reasons + ([f"built differently: {', '.join(differing)}"] if differing else [])

    def loss(self) -> Difference:
        """Count the differences between the loaded backup and the live schema."""
        return self.load.loss()

    def begin(self) -> OpenRestore:
        """Open a restore, or return the interrupted one that this run resumes."""
        backup, now = str(self.section().backup), self.run.clock.now()
        serving = self.serving()
        restore = self.history.open()
        if restore and self.resumes(restore, all_serve=len(serving) == len(self.servers())):
            log.info("Going on with the restore that began %.0f s ago", now - restore.began)
            return restore
        began = restore.began if restore and not serving else now
        if restore:
            self.history.close(restore.replaced, RestoreOutcome.SUPERSEDED)
        self.history.begin(replaced_schema(now), backup, self.run.directory.run_id, began)
        opened = self.history.open()
        assert opened is not None
        return opened

    def resumes(self, restore: OpenRestore, all_serve: bool) -> bool:
        """Tell whether this run resumes an open restore, which may also be a forgotten one.

        After its tables were moved, it does as long as they serve; before, only while the servers
        that it took out are still out.
        """
        section = self.section()
        if restore.backup != section.backup:
            return False
        return not section.swap_needed if self.moved(restore) else not all_serve

    def moved(self, restore: OpenRestore | None) -> bool:
        """Tell whether the tables of an open restore are moved.

        If a killed run did not record that, the tables themselves tell.
        """
        if restore is None:
            return False
        return restore.swapped is not None or self.swap(restore).done()
