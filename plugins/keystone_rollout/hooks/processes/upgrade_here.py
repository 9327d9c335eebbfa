"""Run keystone_upgrade in a process of its own, without a scheduler: `airflow dags test` does so.

A triggered run waits for a scheduler, and beside `dags test` there may be none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from keystone_rollout.domain.clock import Clock
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.files.project import PLUGINS

UPGRADE = "keystone_upgrade"
END_SECONDS = 60.0


class UpgradeHere:
    """One run of the upgrade; its id is known before it starts.

    :param conf: the run's params
    """

    def __init__(self, conf: Mapping[str, Any], clock: Clock = SYSTEM_CLOCK) -> None:
        self.conf = dict(conf)
        self.moment = datetime.fromtimestamp(clock.now(), UTC).isoformat()
        self.run_id = f"manual__{self.moment}"
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> bool:
        """Run it to its end, its output going where ours goes; return whether it succeeded."""
        path = [str(PLUGINS), os.environ.get("PYTHONPATH", "")]
        environment = {
            # What the task's own supervisor has set would mislead the other process.
            **{name: value for name, value in os.environ.items() if "SUPERVISOR" not in name},
            "PYTHONPATH": os.pathsep.join(part for part in path if part),
        }
        command = [
            sys.executable,
            "-m",
            "keystone_rollout.hooks.processes.upgrade_here",
            self.moment,
            json.dumps(self.conf),
        ]
        self._process = subprocess.Popen(command, env=environment)
        try:
            return self._process.wait() == 0
        finally:
            self.stop()

    def stop(self) -> None:
        """End it if it still runs; its teardowns get a while."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main(moment: str, conf: str) -> int:
    """Run the upgrade in this process; 0 only if it succeeded."""
    from airflow.utils.cli import get_bagged_dag

    dag = get_bagged_dag(bundle_names=None, dag_id=UPGRADE)
    when = datetime.fromisoformat(moment)
    run = dag.test(logical_date=when, run_after=when, run_conf=json.loads(conf))
    print(f"{UPGRADE} {run.run_id}: {run.state}", flush=True)
    return 0 if run.state == "success" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
