"""Strike one fault after another: each ends a run, and the next run goes on from what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from keystone_rollout.domain.load.samples import merge, parse_samples
from lab.airflow.process import AirflowProcess
from lab.airflow.upgrade_run import DAG, UpgradeRun
from lab.cloud import database, nodes
from lab.cloud.connections import all_connections
from lab.cloud.secrets import load as load_secrets
from lab.topology import DATABASE_PORT, HAPROXY_PORT
from tests.scenarios import aftermath, lab_state
from tests.scenarios.fault import Ends, Fault, Preparation
from tests.scenarios.forwarder import Forwarder
from tests.scenarios.lab_nodes import node
from tests.scenarios.moments import is_ending
from tests.scenarios.outcome_table import Outcome
from tests.scenarios.scenario_cloud import connection_variable, scenario_cloud, write_cloud
from tests.scenarios.scene import RUN_SECONDS, Lines, Scene, end_load, load_runs

THROUGH_LINES = {
    "lab_haproxy": "scenario_haproxy",
    "lab_keystone_2": "scenario_keystone_2",
    "lab_database_admin": "scenario_database_admin",
    "lab_database_reader": "scenario_database_reader",
    "lab_database_keystone": "scenario_database_keystone",
}
"""Connections of the lab that run through a forwarder, and their ids there."""

VERDICT_LENGTH = 200


class Campaign:
    """Hold what lasts longer than one fault: the lines, the run that goes on, the one that died.

    :param faults: all rows in their order
    :param start: puts the lab where the first row needs it
    :param folder: for cloud files and the faults' own files
    :param outcomes: what became of each fault is appended to it
    """

    def __init__(
        self,
        client: docker.DockerClient,
        faults: Sequence[Fault],
        start: Callable[[docker.DockerClient], None],
        folder: Path,
        outcomes: list[Outcome],
    ) -> None:
        self.client = client
        self.faults = list(faults)
        self.folder = folder
        self.outcomes = outcomes
        self.runs: list[UpgradeRun] = []
        self._start = start
        self._broken = False
        self._scene: Scene | None = None
        self._undo = ExitStack()
        self._killed: tuple[UpgradeRun, Outcome, Ends] | None = None
        self._warm: AirflowProcess | None = None
        self._last_words = ""
        self._lines: Lines | None = None

    @contextmanager
    def open(self) -> Iterator[Campaign]:
        """Start, let the faults come, and leave nothing running."""
        connections = all_connections(load_secrets())
        with (
            Forwarder(HAPROXY_PORT) as haproxy,
            Forwarder(node(2).ssh_port) as ssh,
            Forwarder(DATABASE_PORT) as database_line,
        ):
            lines = {HAPROXY_PORT: haproxy, node(2).ssh_port: ssh, DATABASE_PORT: database_line}
            environment: dict[str, str] = {}
            for old, new in THROUGH_LINES.items():
                connection = {**connections[old], "port": lines[connections[old]["port"]].port}
                environment |= connection_variable(new, connection)
            self._lines = Lines(haproxy, ssh, database_line, environment)
            self._start(self.client)
            try:
                yield self
            finally:
                self._leave_nothing_running()
                if self._broken:
                    lab_state.reset_all(self.client)

    def face(self, fault: Fault) -> None:
        """Strike one fault, and fail with all that is not as it has to be afterwards."""
        outcome = Outcome(fault.number, fault.name, str(fault.moment or "-"))
        self.outcomes.append(outcome)
        began = time.monotonic()
        try:
            self._face(fault, outcome)
            outcome.verdict = "ok"
        except BaseException as error:
            words = " ".join(str(error).split()) or type(error).__name__
            outcome.verdict = f"FAILED: {words[:VERDICT_LENGTH]}"
            self._broken = True
            raise
        finally:
            outcome.seconds = round(time.monotonic() - began, 1)

    def _face(self, fault: Fault, outcome: Outcome) -> None:
        if self._broken:
            self._start_again()
        if self._scene is None:
            lacking = list(fault.needs()) if fault.needs else []
            if lacking:
                pytest.fail(
                    "; ".join([*lacking, "let the earlier faults of the campaign come first"])
                )
            self._scene = self._begin(fault)
        scene = self._scene
        outcome.log = str(scene.run.log)
        if fault.moment is not None:
            scene.until(fault.moment)
        with ExitStack() as undo:
            if fault.strike is not None:
                undo.enter_context(fault.strike(scene))
            if fault.ends is Ends.GOES_ON:
                outcome.end_state = "the run goes on"
                _fail_with(self._further(fault, scene), scene.run)
                return
            code = self._wait(fault, scene.run)
            servers = aftermath.servers_now()
        self._settle(fault, scene, aftermath.gather(scene.run, code, servers), outcome)

    def _begin(self, fault: Fault) -> Scene:
        lines = self._lines
        assert lines is not None, "the campaign has not been opened"
        preparation = Preparation(
            client=self.client,
            folder=self.folder / fault.number,
            cloud=scenario_cloud(fault.cloud, THROUGH_LINES),
            params={"cloud": "lab", **fault.params},
            environment=dict(lines.environment),
            last_words=self._last_words,
        )
        preparation.folder.mkdir(parents=True, exist_ok=True)
        if fault.dag == DAG:
            preparation.params["auto_approve"] = True
        if self._killed is not None:
            preparation.params["break_lock"] = self._killed[0].run_id
        if fault.prepare is not None:
            self._undo.enter_context(fault.prepare(preparation))
        clouds = write_cloud(preparation.cloud, preparation.folder / "clouds")
        airflow, self._warm = self._warm or AirflowProcess(), None
        run = UpgradeRun(
            preparation.params,
            clouds,
            dag=fault.dag,
            environment=preparation.environment,
            airflow=airflow,
        )
        self.runs.append(run)
        run.start()
        return Scene(
            self.client, run, lines, preparation.cloud, preparation.folder, other_runs=self.runs
        )

    def _settle(
        self, fault: Fault, scene: Scene, found: aftermath.Aftermath, outcome: Outcome
    ) -> None:
        """Judge an ended run, and the killed one before it, if there is one."""
        self._scene = None
        self._last_words = found.words
        killed, self._killed = self._killed, None
        # First: what a fault has prepared may be the disk with the samples.
        outcome.failures, outcome.requests = _count(scene.run)
        self._undo.close()
        outcome.end_state = self._end_state(fault)
        wrong = aftermath.findings(found, fault) + self._further(fault, scene)
        if killed is not None and killed[2] is Ends.KILLED:
            wrong += _taken_over(*killed[:2])
        if fault.ends in (Ends.KILLED, Ends.LOST):
            self._killed = (scene.run, outcome, fault.ends)
        _fail_with(wrong, scene.run)

    def _further(self, fault: Fault, scene: Scene) -> list[str]:
        return list(fault.afterwards(scene)) if fault.afterwards else []

    def _end_state(self, fault: Fault) -> str:
        releases = " ".join(
            state.running or f"({state.installed or 'down'})"
            for state in nodes.read_states(self.client)
        )
        versions = database.schema_versions()
        schema = "/".join(
            versions.get(f"keystone_{name}", "?") for name in ("expand", "data_migrate", "contract")
        )
        return f"{fault.ends}; {releases}; schema {schema}"

    def _wait(self, fault: Fault, run: UpgradeRun) -> int:
        """Wait for the end of a run; while it cleans up, let the next row's Airflow start."""
        another = self.faults.index(fault) + 1 < len(self.faults)
        end = time.monotonic() + RUN_SECONDS
        while not run.ended() and time.monotonic() < end:
            if another and self._warm is None and is_ending(run.events()):
                self._warm = AirflowProcess()
                self._warm.warm_up()
            time.sleep(0.1)
        assert run.ended(), f"the run has not ended after {RUN_SECONDS:g} s, see {run.log}"
        return run.wait(0)

    def _start_again(self) -> None:
        """Put the lab back to its source release: every fault can strike from there too."""
        self._leave_nothing_running()
        lab_state.reset_all(self.client)
        self._broken = False

    def _leave_nothing_running(self) -> None:
        """End what this campaign has started, and undo what a fault has prepared."""
        self._scene = None
        self._killed = None
        if self._warm is not None:
            self._warm.dismiss()
            self._warm = None
        for run in self.runs:
            if run.airflow.process is not None and not run.ended():
                run.kill()
            end_load(run.directory)
        if self._lines is not None:
            self._lines.haproxy.restore()
            self._lines.ssh.restore()
            self._lines.database.restore()
        self._undo.close()


def _taken_over(run: UpgradeRun, outcome: Outcome) -> list[str]:
    """Judge a killed run once the next one has ended."""
    wrong = aftermath.interrupted_findings(
        run.report(), aftermath.has_page(run.directory), load_runs(run.directory)
    )
    outcome.end_state += "; the next run took over"
    return [f"{problem} (see {run.log})" for problem in wrong]


def _fail_with(wrong: list[str], run: UpgradeRun) -> None:
    if wrong:
        pytest.fail("\n".join([*wrong, f"see {run.log}"]))


def _count(run: UpgradeRun) -> tuple[int, int]:
    """Return failed requests and requests of a run, from its samples: not each has a report."""
    failures = requests = 0
    for path in sorted(run.directory.glob("load/*/samples.jsonl")) if run.directory else []:
        window: Any = merge(parse_samples(path.read_text(), str(path)))
        failures += window.failures
        requests += window.requests
    return failures, requests
