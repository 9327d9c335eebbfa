"""Tie together what every task of a restore needs, and find out how far it has come.

The truth is in the database and on the nodes: a run that was killed leaves an open restore there,
and the next run goes on with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.recovery.restore import restore_section
from keystone_rollout.domain.run.events import RestoreChanged, RestoreOutcome, node_changed
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.domain.schema.table_moves import replaced_schema
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.hooks.database.comparison import SchemaReader, compare_rows, structures_differ
from keystone_rollout.hooks.database.loader import BackupLoad
from keystone_rollout.hooks.database.marks import ServersOut
from keystone_rollout.hooks.database.restore_history import OpenRestore, RestoreHistory
from keystone_rollout.hooks.database.swap import SchemaSwap
from keystone_rollout.hooks.files.backups import BackupStore
from keystone_rollout.procedures.restore.outage import PlannedOutage
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


class RestoreSession:
    """Handle one run of keystone_restore."""

    def __init__(self, run: RolloutRun) -> None:
        self.run = run
        self.cloud = run.cloud
        self.history = RestoreHistory(run.cloud)
        self.load = BackupLoad(run.cloud)
        self.live = SchemaReader(run.cloud.databases.administrator, run.cloud.databases.schema_name)

    @cached_property
    def outage(self) -> PlannedOutage:
        """Return what stops and starts the nodes; its connections are looked up at first use."""
        return PlannedOutage(self.cloud, self.note)

    def section(self) -> RestoreChanged:
        """Return what this run has planned and done; RuntimeError where it has no plan."""
        section = restore_section(self.run.directory.events(RestoreChanged))
        if section is None or section.planned is None:
            raise RuntimeError(
                f"run {self.run.directory.run_id} has no plan. Next: clear task plan_restore, not "
                "just this one"
            )
        return section

    def record(self, **fields: Any) -> None:
        """Record what the report says about this restore."""
        self.run.directory.record(RestoreChanged(**fields))

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
        marks = ServersOut(self.cloud).all()
        servers = {self.cloud.node(name).server for name in names} - marks.keys()
        found = {server: self.outage.servers.taken_out(server) for server in sorted(servers)}
        return [f"{server} {words}" for server, words in found.items() if words]

    def keep_downtime(self) -> None:
        """Write down that somebody, or everybody, serves again; the first time of each counts."""
        try:
            restore, serving = self.history.open(), self.serving()
            if restore is None or not serving:
                return
            self.history.keep_served(restore.replaced, time.time())
            if len(serving) == len(self.servers()):
                self.history.keep_ended(restore.replaced, time.time())
            kept = self.history.open() or restore
            self.record(began=kept.began, served=kept.served, ended=kept.ended)
        except Exception as error:
            # Measuring must not keep the next server from being brought in.
            log.warning("The downtime could not be written down: %s", error)

    def backup(self) -> Path:
        """Return the backup that was planned with."""
        return BackupStore(self.cloud).folder / str(self.section().backup)

    def backup_versions(self) -> RecordedVersions:
        """Return where the schema stands in the backup."""
        return RecordedVersions.from_dict(self.section().backup_versions or {})

    def swap(self, restore: OpenRestore) -> SchemaSwap:
        """Return what moves the tables of an open restore."""
        return SchemaSwap(self.cloud, restore.replaced)

    def reasons_to_swap(self) -> list[str]:
        """Say in what the live schema is not built as the loaded backup is; nothing: it is."""
        here, there = self.live.versions(), self.load.schema.versions()
        # A run that was killed right after it moved the tables has not made their triggers again.
        triggers = not self.moved(self.history.open())
        differing = structures_differ(self.live, self.load.schema, triggers)
        reasons = [f"schema at {here}, backup at {there}"] if here != there else []
        return reasons + ([f"built differently: {', '.join(differing)}"] if differing else [])

    def loss(self) -> Difference:
        """Count what the loaded backup does not have in common with the live schema."""
        return compare_rows(self.live, self.load.schema)

    def begin(self) -> OpenRestore:
        """Open a restore, or return the one that was interrupted and goes on here."""
        backup, now = str(self.section().backup), time.time()
        serving = self.serving()
        restore = self.history.open()
        if restore and self.goes_on(restore, all_serve=len(serving) == len(self.servers())):
            log.info("Going on with the restore that began %.0f s ago", now - restore.began)
            return restore
        began = restore.began if restore and not serving else now
        if restore:
            self.history.close(restore.replaced, RestoreOutcome.SUPERSEDED)
        self.history.begin(replaced_schema(now), backup, self.run.directory.run_id, began)
        opened = self.history.open()
        assert opened is not None
        return opened

    def goes_on(self, restore: OpenRestore, all_serve: bool) -> bool:
        """Tell whether an open restore is this one, interrupted, and not a forgotten one.

        Once its tables are moved, it is as long as they are what serves; before that, only while
        the servers it took out are still out.
        """
        section = self.section()
        if restore.backup != section.backup:
            return False
        return not section.swap_needed if self.moved(restore) else not all_serve

    def moved(self, restore: OpenRestore | None) -> bool:
        """Tell whether the tables of an open restore are moved.

        Where that was not written down any more, the tables themselves tell.
        """
        if restore is None:
            return False
        return restore.swapped is not None or self.swap(restore).done()
