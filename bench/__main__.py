"""Measure the upgrade DAG against the plain shell script, on the same lab in one run.


Both are measured with the same meters: a wall clock, and HAProxy asked ten times a second which
servers are ready and UP. Ratios, not seconds, are what this says about another machine.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.plain_script import write_script
from lab import reset
from lab import up as bring_up
from lab.airflow.upgrade_run import UpgradeRun
from lab.cloud import balancer, database, nodes
from lab.hop import plan_hop
from lab.paths import ROOT, STATE
from machine import engine
from machine.progress import Report

SOURCE, TARGET = "12.0.3", "13.0.4"
RESULT = STATE / "bench.json"
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Measurement:
    """The times of one way of upgrading, in seconds."""

    way: str
    seconds: float
    out_of_rotation: dict[str, float]


class RotationMeter:
    """The seconds for which each server was not ready and UP."""

    def __init__(self) -> None:
        self.out: dict[str, float] = defaultdict(float)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def __enter__(self) -> RotationMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(POLL_SECONDS):
            servers = balancer.servers()
            now = time.monotonic()
            for server in servers:
                self.out[server.name] += 0.0 if server.serving else now - before
            before = now


def measure(way: str, upgrade: Callable[[], None]) -> Measurement:
    """Run one upgrade and return its times."""
    with RotationMeter() as meter:
        began = time.monotonic()
        upgrade()
        seconds = time.monotonic() - began
    return Measurement(way, seconds, dict(meter.out))


def run_script(folder: Path) -> None:
    """Run the plain script; a non-zero exit is an error with its last lines."""
    result = subprocess.run(
        [str(write_script(folder))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise RuntimeError(f"the plain script exited {result.returncode}: {result.stderr[-2000:]}")


def run_dag() -> None:
    """Run the DAG; a failed run is an error that names its log."""
    run = UpgradeRun({"cloud": "lab", "auto_approve": True})
    run.start()
    if run.wait(1200) != 0:
        raise RuntimeError(f"the upgrade DAG failed, see {run.log}")


def check_upgraded() -> None:
    """Check that the lab is upgraded: only ways that reach the same state can be compared."""
    states = nodes.read_states(engine.connect())
    wrong = [state.node.name for state in states if state.running != TARGET]
    if wrong or set(database.schema_versions().values()) != {"109", "44"}:
        raise RuntimeError(f"not upgraded: {wrong}, schema {database.schema_versions()}")


def main() -> None:
    """Measure both ways, print the comparison, and keep it as JSON."""
    hop = plan_hop(SOURCE, TARGET)
    measurements = []
    with Report() as report, tempfile.TemporaryDirectory() as folder:
        bring_up.up(hop, report)
        ways: dict[str, Callable[[], None]] = {
            "plain script": lambda: run_script(Path(folder)),
            "upgrade DAG": run_dag,
        }
        for way, upgrade in ways.items():
            reset.reset(engine.connect(), hop.source, report)
            with report.step(way):
                measurements.append(measure(way, upgrade))
            check_upgraded()
        for each in measurements:
            nodes_out = ", ".join(f"{n} {s:.1f} s" for n, s in sorted(each.out_of_rotation.items()))
            report.line(f"{each.way}: {each.seconds:.1f} s; out of rotation: {nodes_out}")
        script, dag = measurements
        ratio = dag.seconds / script.seconds
        rotation = sum(dag.out_of_rotation.values()) / sum(script.out_of_rotation.values())
        report.line(f"DAG / script: wall-clock {ratio:.2f}, time out of rotation {rotation:.2f}")
    RESULT.write_text(
        json.dumps(
            {"ways": [asdict(each) for each in measurements], "wall_clock_ratio": ratio,
             "out_of_rotation_ratio": rotation},
            indent=1,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
