"""Start the load, measure the baseline, judge the end, stop."""

from __future__ import annotations

from typing import Any

from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.load.writes import check_writes
from keystone_rollout.procedures.run.gate import open_gate, settle
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.web.links import LoadLink
from operators.rollout_operator import RolloutOperator

ENOUGH_REQUESTS_SECONDS = 300.0


class StartLoadOperator(RolloutOperator):
    """Start Locust as a process of its own, and wait until its clients are served."""

    operator_extra_links = (LoadLink(),)

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Start the load, or find that it runs."""
        LoadLink().show_run(self, context)
        LoadSession(run).start()


class MeasureBaselineOperator(RolloutOperator):
    """Measure the undisturbed cloud, with which every later window is compared."""

    operator_extra_links = (LoadLink(),)

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Fail where the cloud does not serve the load even before anything changes."""
        session = LoadSession(run)
        LoadLink().show_run(self, context)
        settle(run, "baseline", [session.measure_baseline()])


class JudgeLoadOperator(RolloutOperator):
    """Judge the load at the end: clean, and enough of it to prove anything."""

    operator_extra_links = (LoadLink(),)

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Wait for enough requests, then judge everything once more."""
        session = LoadSession(run)
        LoadLink().show_run(self, context)
        enough = session.wait_enough_requests(ENOUGH_REQUESTS_SECONDS)
        open_gate(run, "end")
        settle(run, "end", [enough])


class StopLoadOperator(RolloutOperator):
    """End the load, however the run went."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Stop Locust; its own HTML report stays in the run's directory."""
        ended = LoadSession(run).stop()
        self.log.info("Load: %s", ended.how if ended else "no session was running")


class CheckWritesOperator(RolloutOperator):
    """Look up every user whose creation was acknowledged, and authenticate as each."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Fail where one write is missing; where none is, remove what the load made."""
        settle(run, "acknowledged writes", check_writes(run))
