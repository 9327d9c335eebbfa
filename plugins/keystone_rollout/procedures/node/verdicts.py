"""Ask every node for its release, and HAProxy for its servers, stopped ones included."""

from __future__ import annotations

from dataclasses import dataclass

from keystone_rollout.domain.cloud.model import Cloud, Node
from keystone_rollout.domain.node.release_report import parse_release_report
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.procedures.run.run import RolloutRun

TOO_EARLY = (
    "contract would break an old node: it answers POST /v3/users with 500, and no health check "
    "notices"
)


@dataclass(frozen=True)
class Expectation:
    """The release that every node should run, and consequence and next step if one does not."""

    release: str
    consequence: str
    next_step: str
    """The text names the node as {node}."""
    certain: bool = False
    """Whether file dates are not enough to show that a service was started from its packages."""


def before_contract(cloud: Cloud) -> Expectation:
    """Expect the target release everywhere."""
    return Expectation(
        cloud.target,
        TOO_EARLY,
        f"start the upgrade again: it takes {{node}} to {cloud.target}",
        certain=True,
    )


def after_rollback(cloud: Cloud) -> Expectation:
    """Expect the source release everywhere."""
    return Expectation(
        cloud.source,
        "the rollback is not complete; the schema serves both releases meanwhile",
        f"start the rollback again: it takes {{node}} to {cloud.source}",
    )


def verify_nodes(run: RolloutRun, expected: Expectation) -> list[Verdict]:
    """Return one verdict for each node and each server; without an answer it has failed."""
    nodes = run.cloud.nodes
    verdicts = [_release(run, node, expected) for node in nodes]
    verdicts += [_tokens(run, node) for node in nodes]
    inventory = {node.server for node in nodes}
    for balancer, known_to in run.balancers.by_name.items():
        for name, state in known_to.servers().items():
            known = name in inventory
            verdicts.append(
                Verdict(
                    known and state.serving,
                    "server",
                    f"{balancer}/{name}",
                    f"{state.administrative}/{state.operational}"
                    + ("" if known else ", not a node of the cloud file"),
                    "ready/UP, and in the cloud file",
                    expected.consequence,
                    f"bring {name} to {expected.release} and ready, or take it out of the backend",
                )
            )
    return verdicts


def _release(run: RolloutRun, node: Node, expected: Expectation) -> Verdict:
    try:
        report = parse_release_report(
            run.nodes.machine(node).run(Step.REPORT_RELEASE, expected.release)
        )
        serves = report.serves_for_certain if expected.certain else report.serves
        ok, measured = serves(expected.release), report.in_full if expected.certain else str(report)
    except Exception as error:
        ok, measured = False, f"unknown: {error}"
    return Verdict(
        ok, "release", node.name, measured, f"{expected.release} running", expected.consequence,
        expected.next_step.format(node=node.name),
    )  # fmt: skip


def _tokens(run: RolloutRun, node: Node) -> Verdict:
    try:
        nodes = run.cloud.nodes
        other = nodes[nodes.index(node) - 1].url
        proof = run.keystone.prover(node, 0, elsewhere=other).prove()
        ok, measured = True, proof
    except Exception as error:
        ok, measured = False, str(error)
    return Verdict(
        ok, "tokens", node.name, measured, "tokens cross nodes", "its clients get 401",
        f"compare the key repository of {node.name} with the others'",
    )  # fmt: skip
