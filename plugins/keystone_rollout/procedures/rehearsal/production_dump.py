"""Put a dump of production into a staging cloud that stands at the release of that dump.

It brings production's users, and the hashes of their passwords. It brings no fernet keys, which are
files on the nodes: production's tokens mean nothing here, and staging's stay valid. Nor does it
bring credential keys: credentials of production cannot be decrypted here, and need not be.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.recovery.dump import DumpRefused, judge_dump, judge_dump_release
from keystone_rollout.domain.run.systems import Swap
from keystone_rollout.domain.schema.table_moves import replaced_schema
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.files.dumps import inside
from keystone_rollout.procedures.restore.outage import PlannedOutage
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


def _log(node: str, state: NodeState, text: str) -> None:
    log.info("%s: %s (%s)", node, state, text)


class ProductionDump:
    """One dump file, plain or gzipped.

    :param name: `rehearsal.dump` of the cloud file, or what a run calls a file in its
        `rehearsal.dump_directory`
    """

    def __init__(self, run: RolloutRun, name: str) -> None:
        self.run = run
        self.cloud = run.cloud
        self.name = name

    @cached_property
    def path(self) -> Path:
        """Return the file; DumpRefused if the cloud file does not let a run name it.

        Whoever may start a run may not read every file that Airflow's account can.
        """
        rehearsal = self.cloud.rehearsal
        if rehearsal is not None and self.name == rehearsal.dump:
            return project_path(self.name)
        folder = rehearsal.dump_directory if rehearsal is not None else None
        path = inside(project_path(folder), self.name) if folder else None
        if path is None:
            raise DumpRefused(self.name, folder)
        return path

    def judge(self) -> Verdict:
        """Read the dump from its first to its last line, if the cloud file allows it."""
        try:
            path = self.path
        except DumpRefused as error:
            return error.verdict
        problems = self.run.backups.problems(path)
        return judge_dump(str(path), problems, 0 if problems else path.stat().st_size)

    def load(self, require: Callable[[list[Verdict]], None]) -> None:
        """Replace the live schema by the dump; ``require`` raises if a verdict is bad.

        It is loaded beside the live schema and moved in whole: a bad one changes nothing.
        """
        project_path(self.cloud.backup_directory).mkdir(parents=True, exist_ok=True, mode=0o700)
        live = self.run.schema.live.versions
        with self.run.scratch.meanwhile(self.path) as loaded:
            require([judge_dump_release(self.path.name, loaded.versions(), live(),
                                       self.cloud.source)])  # fmt: skip
            swap = self.run.scratch.swap(replaced_schema(self.run.clock.now()))
            with self._nodes_stopped():
                self._swap(swap)
                self._flush_caches()
            swap.drop_replaced()

    @contextmanager
    def _nodes_stopped(self) -> Iterator[None]:
        """Stop Keystone everywhere for a block: an idle node may hold a transaction open.

        2023.1 does so after its last request, and moving its tables would wait for that without
        end. Raises OutageFailed if a node does not stop, or does not serve again.
        """
        outage, names = PlannedOutage(self.run, _log), self.cloud.node_names
        try:
            outage.stop(names)
            yield
        finally:
            outage.start_again(names, [self.cloud.source])

    def _swap(self, swap: Swap) -> None:
        try:
            swap.move()
        except Exception:
            if not swap.done():
                swap.undo()
            raise
        swap.finish()

    def _flush_caches(self) -> None:
        """Empty the caches of the nodes, which hold rows of the replaced data."""
        nodes, release = self.run.nodes, self.cloud.source
        names = self.cloud.node_names
        for name, answer in nodes.each(names, lambda _, node: node.run(Step.FLUSH_CACHE, release)):
            if isinstance(answer, Exception):
                raise RuntimeError(
                    f"the caches of {name} could not be emptied, and would serve rows that the "
                    f"dump does not have: {answer}. Next: repair it, then clear this task"
                ) from answer
