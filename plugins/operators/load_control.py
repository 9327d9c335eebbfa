"""Start the load, measure the baseline, judge the end, stop."""

from __future__ import annotations

from typing import Any

from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.load.writes import check_writes
from keystone_rollout.procedures.run.gate import open_gate, require
from keystone_rollout.procedures.run.resume import resume
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.witnesses import LoadWitness
from keystone_rollout.web.links import LoadLink
from operators.rollout_operator import RolloutOperator

ENOUGH_REQUESTS_SECONDS = 300.0


class StartLoadOperator(RolloutOperator):
    """The start of Locust as a process of its own, until its clients are served."""

    operator_extra_links = (LoadLink(),)

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Start the load, or find that it runs."""
        LoadLink().show_run(self, context)
        LoadWitness(run).begin()


class MeasureBaselineOperator(RolloutOperator):
    """The measurement of the undisturbed cloud, with which every later window is compared."""

    operator_extra_links = (LoadLink(),)

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Fail if the cloud does not serve the load even before anything changes.

        If this task is cleared after that, it measures again, in mid-upgrade.
        """
        session = LoadSession(run)
        LoadLink().show_run(self, context)
        step = "at measure_baseline" if session.baseline_accepted() else ""
        require(run, "baseline", session.measure_baseline(step))


class JudgeLoadOperator(RolloutOperator):
    """The judgement of the load at the end: is it clean, and enough to prove anything?"""

    operator_extra_links = (LoadLink(),)

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Wait for enough requests, then judge the load once more.

        Only the load: teardowns restore the variables at the same time.
        """
        load = LoadWitness(run)
        LoadLink().show_run(self, context)
        resume(run, "at the end", [load])
        enough = load.session.wait_enough_requests(ENOUGH_REQUESTS_SECONDS)
        open_gate(run, "end", [load])
        require(run, "end", [enough])


class StopLoadOperator(RolloutOperator):
    """The end of the load, in a good run and in a bad one."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Stop Locust; its own HTML report stays in the run's directory."""
        self.log.info(LoadWitness(run).end())


class CheckWritesOperator(RolloutOperator):
    """The check of every user whose creation was acknowledged, with a login as each."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Fail if a write is missing; otherwise remove the load's objects."""
        require(run, "acknowledged writes", check_writes(run))
