"""Handle nodes over SSH: stage packages while they serve, and take one through its cycle."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.ssh.operators.ssh import SSHOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException

from keystone_rollout.domain.cloud.model import Node
from keystone_rollout.domain.node.cycle import CycleFailed, Machine, TakenOver
from keystone_rollout.domain.node.release_report import parse_release_report
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.node.turn import Decision, Turn, decide_turn, tasks_before
from keystone_rollout.domain.releases.identity import same_build
from keystone_rollout.domain.run.events import Work
from keystone_rollout.hooks.node.machine import StepFailed
from keystone_rollout.procedures.node.cycle import CycleNotes, node_cycle
from keystone_rollout.procedures.node.left_out import return_nodes
from keystone_rollout.procedures.node.verdicts import after_rollback, before_contract, verify_nodes
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.resume import proceed
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.web.links import StatisticsLink
from operators.rollout_operator import RolloutOperator


class NodeOperator(SSHOperator):
    """Work on one node of the cloud; its SSH connection comes from the cloud file.

    :param node: the node's name in the cloud file; None means the first one, the canary
    """

    operator_extra_links = (StatisticsLink(),)

    def __init__(self, *, node: str | None = None, **kwargs: Any) -> None:
        super().__init__(command="from the cloud file", cmd_timeout=None, **kwargs)
        self.node = node

    def chosen(self, run: RolloutRun) -> Node:
        """Return the node; this operator's own SSH hook reaches it from here on."""
        node = run.cloud.node(self.node or run.cloud.node_names[0])
        self.ssh_conn_id = node.ssh
        self.ssh_hook = run.nodes.connection(node)
        return node


class StagePackagesOperator(NodeOperator):
    """The target's packages and configuration, fetched onto a node that goes on serving.

    The present packages and configuration are kept there, too, so that a rollback needs neither
    repository nor network.
    """

    def execute(self, context: Any = None) -> str:
        """Stage, or say that the node is on the target release already."""
        run = RolloutRun.from_context(context)
        node = self.chosen(run)
        context["node"] = name = node.name
        machine = run.nodes.machine(node, CycleNotes(run, node).note, self.ssh_hook)
        StatisticsLink().show_cloud(self, context, run.cloud)
        proceed(run, f"before staging {name}")
        cloud = run.cloud
        report = parse_release_report(machine.run(Step.REPORT_RELEASE, cloud.source))
        on_source = same_build(cloud.source, report.installed)
        self.log.info("%s: %s", name, report)
        try:
            with run.step(f"stage {name}", Work.STAGE):
                if on_source:
                    machine.run(Step.KEEP_CURRENT, cloud.source)
                machine.send_configuration()
                machine.run(Step.ENABLE_REPOSITORY, cloud.target)
                self.log.info(machine.run(Step.STAGE, cloud.target))
        except StepFailed as error:
            old = cloud.source if on_source else report.installed
            raise AirflowFailException(
                f"{error}. {name} still serves {report.installed}, nothing was installed"
                f"{self._reset_repository(machine, old)}. Next: repair the package "
                "repository, then start the upgrade again or clear this task"
            ) from error
        return name

    def _reset_repository(self, machine: Machine, release: str) -> str:
        """Point the node at the old release's packages again; return the outcome in words."""
        try:
            machine.run(Step.ENABLE_REPOSITORY, release)
        except StepFailed as error:
            return f", but its repository could not be set back ({error})"
        return f", its repository is the one of {release} again"


class UpgradeNodeOperator(NodeOperator):
    """One node's whole cycle, as one task, so that nothing can interleave.

    Nodes go in the order of the mapped list, even if Airflow starts another one first.

    :param siblings: ids of the tasks that upgrade nodes, this one's included: none begins before
        the earlier ones have ended, or after one of them that failed
    :param back: from the target to the source release instead (before contract)
    """

    def __init__(
        self, *, siblings: list[str] | None = None, back: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.siblings = siblings or []
        self.back = back

    def execute(self, context: Any = None) -> str:
        """Run the cycle; AirflowFailException says how the node was left, and what to do."""
        run = RolloutRun.from_context(context)
        node = self.chosen(run)
        context["node"] = node.name
        StatisticsLink().show_cloud(self, context, run.cloud)
        self._await_turn(run, context, node.name)
        proceed(run, f"before {node.name}")
        cycle = node_cycle(run, node, self.ssh_hook, back=self.back)
        began = run.clock.elapsed()
        with run.step(node.name, Work.NODE):
            try:
                changed = cycle.run()
            except Exception as error:
                # CycleFailed says where the node was left; anything else happened before drain.
                left = (
                    ""
                    if isinstance(error, CycleFailed | TakenOver)
                    else f". {node.name} was left as it was found"
                )
                raise AirflowFailException(f"{error}{left}") from error
        verb = f"now runs {cycle.target}" if changed else "was already done"
        self.log.info("%s %s, %.0f s", node.name, verb, run.clock.elapsed() - began)
        return node.name

    def _await_turn(self, run: RolloutRun, context: Any, name: str) -> None:
        """Return if the node may begin; otherwise let Airflow ask again, or refuse.

        A task that is asked again takes no worker's place, and under `dags test`, which runs one
        task at a time, the node whose turn it is comes next.
        """
        decision = self._turn(context["ti"])
        if decision.turn is Turn.LATER:
            self.log.info("%s waits for its turn: %s first", name, decision)
            now = datetime.fromtimestamp(run.clock.now(), UTC)
            raise AirflowRescheduleException(now)  # type: ignore[no-untyped-call]
        if decision.turn is Turn.REFUSED:
            raise AirflowFailException(
                f"{name} was not started: {decision} failed, limit 0 failed nodes. "
                "It serves as before. Next: repair that node and clear its task first"
            )

    def _turn(self, instance: Any) -> Decision:
        if not self.siblings:
            return Decision(Turn.NOW)
        found = instance.get_task_states(
            dag_id=instance.dag_id, task_ids=self.siblings, run_ids=[instance.run_id]
        )
        before = tasks_before(self.siblings, instance.task_id, max(instance.map_index or 0, 0))
        return decide_turn(found.get(instance.run_id, {}), before)


class ReturnNodesOperator(RolloutOperator):
    """The return of the servers that an upgrade marked as out.

    At the start these are a killed run's. At the end it is the node of a task that was stopped or
    marked as failed: Airflow kills a task that does not end within seconds.
    """

    operator_extra_links = (StatisticsLink(),)

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Return a sentence for each node; NodesStayOut names those that stay out."""
        StatisticsLink().show_cloud(self, context, run.cloud)
        done = return_nodes(run)
        self.log.info("%d node(s) returned", len(done))
        return done


class VerifyNodesOperator(RolloutOperator):
    """The verification of every node and server: releases, and tokens that cross between all.

    :param back: whether the source release is expected (after a rollback), not the target
    """

    operator_extra_links = (StatisticsLink(),)

    def __init__(self, *, back: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.back = back

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Fail unless every node and server is known to run the expected release."""
        StatisticsLink().show_cloud(self, context, run.cloud)
        proceed(run, "before verifying nodes")
        expected = after_rollback(run.cloud) if self.back else before_contract(run.cloud)
        require(run, "all nodes", verify_nodes(run, expected))
