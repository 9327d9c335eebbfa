"""The DAG as operators run it: triggered under a scheduler, asked for approval, cleared, resumed.

One run goes through all of it: the scheduler dies, the approval is rejected, failed tasks are
cleared, nobody answers, and at last it is approved.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from lab.airflow.environment import ui_environment
from lab.airflow.page import Components
from lab.cloud import database, nodes
from lab.cloud.balancer import servers
from tests.scenarios import aftermath, lab_state, moments
from tests.scenarios.fault import Ends, Fault
from tests.scenarios.lab_nodes import TARGET
from tests.scenarios.outcome_table import Outcome
from tests.scenarios.scenario_cloud import scenario_cloud, write_cloud
from tests.scenarios.scene import end_load, failed_requests, load_runs, wait_for
from tests.scenarios.scheduled_upgrade import APPROVAL, QUICK_SCHEDULER, ScheduledUpgrade

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

NOBODY_ANSWERS = {"limits": {"approval_seconds": 10}}
SOMEBODY_ANSWERS = {"limits": {"approval_seconds": 600}}
SCHEDULER_GONE_SECONDS = 2.0
SETTLE_SECONDS = 90.0


class Scheduled:
    """Hold the run that all tests of this module share, and the cloud file it reads."""

    def __init__(self, run: ScheduledUpgrade, clouds: Path, client: docker.DockerClient) -> None:
        self.run = run
        self.client = client
        self._clouds = clouds
        self.cleared = 0.0

    def write_cloud(self, changes: dict[str, Any]) -> None:
        """Change the cloud file; tasks read it when they begin."""
        write_cloud(scenario_cloud(changes), self._clouds)

    def clear(self) -> None:
        """Clear failed tasks, and remember when."""
        self.cleared = time.time()
        self.run.clear_failed()

    def findings(self, ends: Ends, *says: str) -> list[str]:
        """Return what is not as it has to be, now that the run has ended (once more)."""
        run = self.run
        code = 0 if run.wait_for_end() == "success" else 1
        # A run counts as ended while its last teardown still is at work.
        wait_for("the report of this end", self._is_reported, SETTLE_SECONDS)
        found = aftermath.Aftermath(
            code=code,
            words=run.words(),
            events=run.events(),
            report=run.report(),
            has_page=aftermath.has_page(run.directory),
            load_runs=load_runs(run.directory),
            servers=servers(),
            variable=database.trust_function_creators(),
            locks=aftermath.count_locks(),
        )
        return aftermath.findings(found, Fault("", "", ends, says=says))

    def _is_reported(self) -> bool:
        return any(event["kind"] == "reported" for event in self.run.events(self.cleared))


@pytest.fixture(scope="module")
def scheduled(
    lab: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scheduled]:
    """Serve Airflow's page, and trigger an upgrade that has to ask for approval."""
    clouds = tmp_path_factory.mktemp("clouds")
    environment = {
        **ui_environment(os.environ),
        **QUICK_SCHEDULER,
        "ROLLOUT_CLOUDS": str(clouds),
    }
    with Components(environment) as components:
        lab_state.before_contract(lab)
        run = ScheduledUpgrade(components)
        scheduled = Scheduled(run, clouds, lab)
        scheduled.write_cloud(SOMEBODY_ANSWERS)
        run.wait_until_ready()
        run.trigger({"cloud": "lab", "auto_approve": False})
        yield scheduled
    end_load(run.directory)


@pytest.fixture
def outcome(request: pytest.FixtureRequest, outcomes: list[Outcome]) -> Iterator[Outcome]:
    """Write down what becomes of the test's fault; the test says so at its end."""
    number, name, moment = request.param
    outcome = Outcome(number, name, moment)
    outcomes.append(outcome)
    began = time.monotonic()
    yield outcome
    outcome.seconds = round(time.monotonic() - began, 1)


def fault(number: str, name: str, moment: str) -> pytest.MarkDecorator:
    """Mark a test with its row of the table."""
    return pytest.mark.parametrize(
        "outcome", [(number, name, moment)], indirect=True, ids=[f"{number} {name}"]
    )


def settle(outcome: Outcome, scheduled: Scheduled, wrong: list[str], end_state: str) -> None:
    """Fill the row, and fail with what is not as it has to be."""
    load = scheduled.run.report().get("load") or {}
    outcome.failures, outcome.requests = load.get("failures"), load.get("requests")
    outcome.end_state = end_state
    outcome.verdict = f"FAILED: {'; '.join(wrong)}" if wrong else "ok"
    assert not wrong, "\n- ".join(["", *wrong])


@fault("28", "the scheduler dies during the node phase", "keystone-1 stopped")
def test_a_dead_scheduler_does_not_end_the_run(scheduled: Scheduled, outcome: Outcome) -> None:
    run = scheduled.run
    run.until(moments.node("keystone-1", "stopped"))
    run.components.kill("scheduler")
    time.sleep(SCHEDULER_GONE_SECONDS)
    run.components.start("scheduler")
    run.wait_for_approval()
    wrong = [
        f"{state.node.name} runs {state.running or 'nothing'}, not {TARGET}"
        for state in nodes.read_states(scheduled.client)
        if state.running != TARGET
    ]
    wrong += [
        f"{server.name} is {server.operational}/{server.administrative}"
        for server in servers()
        if not server.serving
    ]
    failures = failed_requests(run.directory)
    if failures:
        wrong.append(f"{failures} requests failed")
    settle(outcome, scheduled, wrong, "all nodes upgraded, asks for approval")


@fault("25", "the approval is rejected", "approve_contract")
def test_a_rejection_stops_before_contract(scheduled: Scheduled, outcome: Outcome) -> None:
    scheduled.run.wait_for_approval()
    scheduled.run.answer("Reject")
    wrong = scheduled.findings(Ends.RED)
    if APPROVAL not in scheduled.run.red():
        wrong.append(f"{APPROVAL} is not red: {scheduled.run.red()}")
    if database.schema_versions().get("keystone_contract") != "24":
        wrong.append("contract was begun")
    settle(outcome, scheduled, wrong, "red, schema not contracted")


@fault("27", "failed tasks are cleared", "after the rejection")
def test_a_cleared_run_resumes_with_all_it_needs(scheduled: Scheduled, outcome: Outcome) -> None:
    scheduled.write_cloud(NOBODY_ANSWERS)
    scheduled.clear()
    scheduled.run.wait_for_approval()
    wrong = []
    if not load_runs(scheduled.run.directory):
        wrong.append("the run asks for approval without load")
    if aftermath.count_locks() != 1:
        wrong.append(f"{aftermath.count_locks()} locks while the run goes on")
    if not moments.recorded("load_started").reached(scheduled.run.events(scheduled.cleared)):
        wrong.append("no load was started again")
    settle(outcome, scheduled, wrong, "asks for approval again, with load and lock")


@fault("26", "the approval times out", "10 s after it was asked for")
def test_no_answer_is_a_rejection(scheduled: Scheduled, outcome: Outcome) -> None:
    wrong = scheduled.findings(Ends.RED)
    if database.schema_versions().get("keystone_contract") != "24":
        wrong.append("contract was begun")
    settle(outcome, scheduled, wrong, "red, schema not contracted")


@fault("26a", "cleared once more, and approved", "after the time-out")
def test_approved_at_last_the_upgrade_ends_green(scheduled: Scheduled, outcome: Outcome) -> None:
    run = scheduled.run
    scheduled.write_cloud(SOMEBODY_ANSWERS)
    scheduled.clear()
    run.wait_for_approval()
    run.answer("Approve")
    wrong = scheduled.findings(Ends.GREEN)
    versions = set(database.schema_versions().values())
    if versions != {"109", "44"}:
        wrong.append(f"the schema stands at {sorted(versions)}")
    set_again = moments.verdicts(run.events(scheduled.cleared), "log_bin_trust_function_creators")
    if not any(verdict["ok"] and verdict["measured"] == "1" for verdict in set_again):
        wrong.append("contract ran without the variable having been set again")
    wrong += list(_not_watched(run))
    settle(outcome, scheduled, wrong, "green, schema contracted")


def _not_watched(run: ScheduledUpgrade) -> Iterator[str]:
    """Yield each node during whose cycle nobody looked at the load, though it was long enough."""
    events = run.events()
    looks = [one["t"] for one in events if one["kind"] == "gate" and one["gate"] == "watch"]
    steps = {(one["step"], one["state"]): one["t"] for one in events if one["kind"] == "step"}
    if len(looks) < 5:
        yield f"the load was looked at {len(looks)} times only"
    for node in ("keystone-2", "keystone-3"):
        began, ended = steps.get((node, "started")), steps.get((node, "finished"))
        if began is None or ended is None:
            yield f"{node} has no finished step"
        elif ended - began > 12 and not any(began < look < ended for look in looks):
            yield f"nobody watched the load during {node}"
