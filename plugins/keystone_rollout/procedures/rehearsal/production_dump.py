"""Put a dump of production into a staging cloud that stands at the release of that dump.

What comes with it: production's users, and the hashes of their passwords. What does not: fernet
keys are files on the nodes, so production's tokens mean nothing here and staging's go on. Nor do
credential keys: credentials of production cannot be decrypted here, and need not be.
"""

from __future__ import annotations

import gzip
import logging
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, cast

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.recovery.dump import judge_dump, judge_dump_release, scan_dump
from keystone_rollout.domain.schema.difference import quoted
from keystone_rollout.domain.schema.table_moves import replaced_schema
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.comparison import SchemaReader
from keystone_rollout.hooks.database.loader import BackupLoad
from keystone_rollout.hooks.database.swap import SchemaSwap
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.node.all_nodes import AllNodes
from keystone_rollout.procedures.restore.outage import PlannedOutage

log = logging.getLogger(__name__)


def _log(node: str, state: NodeState, text: str) -> None:
    log.info("%s: %s (%s)", node, state, text)


class ProductionDump:
    """Handle one dump file, plain or gzipped."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud = cloud
        self.path = project_path(name)

    def judge(self) -> Verdict:
        """Read the dump from its first to its last line."""
        try:
            with self._open() as stream:
                problems = scan_dump(stream, self.cloud.databases.schema_name)
            size = self.path.stat().st_size
        except (OSError, EOFError, zlib.error) as error:
            return judge_dump(str(self.path), [f"not readable: {error}"], 0)
        return judge_dump(str(self.path), problems, size)

    def load(self, settle: Callable[[list[Verdict]], None]) -> None:
        """Put the dump into the live schema's place; ``settle`` raises where a verdict is bad.

        It is loaded beside the live schema and moved in whole: a bad one changes nothing.
        """
        project_path(self.cloud.backup_directory).mkdir(parents=True, exist_ok=True, mode=0o700)
        load = BackupLoad(self.cloud)
        live = SchemaReader(self.cloud.databases.administrator, self.cloud.databases.schema_name)
        try:
            loaded = load.load(self.path, self._open)
            settle([judge_dump_release(self.path.name, loaded.versions(), live.versions(),
                                       self.cloud.source)])  # fmt: skip
            replaced = replaced_schema(time.time())
            with self._nodes_stopped():
                self._swap(SchemaSwap(self.cloud, replaced))
                self._flush_caches()
            load.admin.run(f"DROP DATABASE {quoted(replaced)}", autocommit=True)
        finally:
            load.drop()

    @contextmanager
    def _nodes_stopped(self) -> Iterator[None]:
        """Stop Keystone everywhere for a block: an idle node may hold a transaction open.

        2023.1 does so after its last request, and moving its tables would wait for that without
        end. Raises OutageFailed if a node does not stop, or does not serve again.
        """
        outage, names = PlannedOutage(self.cloud, _log), self.cloud.node_names
        try:
            outage.stop(names)
            yield
        finally:
            outage.put_back(names, [self.cloud.source])

    def _swap(self, swap: SchemaSwap) -> None:
        try:
            swap.move()
        except Exception:
            if not swap.done():
                swap.undo()
            raise
        swap.finish()

    def _flush_caches(self) -> None:
        """Empty the caches of the nodes, which hold rows of the data that was there before."""
        nodes, release = AllNodes(self.cloud), self.cloud.source
        names = self.cloud.node_names
        for name, answer in nodes.each(names, lambda _, node: node.run(Step.FLUSH_CACHE, release)):
            if isinstance(answer, Exception):
                raise RuntimeError(
                    f"the caches of {name} could not be emptied, and would serve rows that the "
                    f"dump does not have: {answer}. Next: repair it, then clear this task"
                ) from answer

    def _open(self) -> IO[bytes]:
        packed = self.path.suffix == ".gz"
        return cast(IO[bytes], gzip.open(self.path)) if packed else self.path.open("rb")
