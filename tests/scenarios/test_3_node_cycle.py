"""Faults of the database, of single nodes, of the load balancer and of the load.

Each stops the upgrade, and the next run goes on from there. Between them the nodes are upgraded
one by one; then all of them go back under load. Last, somebody handles servers and packages while
an upgrade goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from lab.cloud import balancer, nodes
from machine import engine
from tests.scenarios import lab_state, moments
from tests.scenarios.balancer_strikes import (
    haproxy_gone_after_drain,
    haproxy_gone_before_drain,
    haproxy_is_reloaded,
    next_server_is_taken_out,
    session_that_does_not_end,
    stopped_server_is_set_ready,
    unknown_node_runs,
    unknown_server_and_old_node,
)
from tests.scenarios.campaign import Campaign
from tests.scenarios.database_strikes import (
    LOCK_WAIT_TIMEOUT_S,
    QUEUE_ALLOWANCE_S,
    contract_is,
    database_dies_while_expand_waits,
    locust_dies_and_variable_is_set_back,
    long_transaction,
)
from tests.scenarios.fault import Ends, Fault, Violation
from tests.scenarios.lab_nodes import SOURCE, TARGET
from tests.scenarios.node_strikes import (
    another_node_dies_while_one_drains,
    bad_configuration,
    node_dies_between_stop_and_start,
    nodes_hang,
    other_keys,
    package_replaced_without_a_restart,
    repository_is_back,
    repository_unreachable,
    requests_fail_between_two_nodes,
)
from tests.scenarios.outage_strikes import (
    disk_full_while_stopped,
    runs_on_a_disk_of_their_own,
)
from tests.scenarios.run_strikes import expand_that_does_nothing, locust_hangs
from tests.scenarios.scene import Scene

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

START = lab_state.reset_all
STAGED = moments.step("doctor")
"""From here on packages and configuration are on all nodes, and nothing was changed yet."""

SERVICE_BREAKS = {"limits": {"load": {"failure_budget": 5000}}}
"""For a run that has to go on although the fault costs requests by itself."""

BEFORE_STAGING = moments.recorded("baseline")
BACK = "keystone-1 is rolled back to 12.0.3, ready and UP"


def load_was_clean(scene: Scene) -> Iterable[str]:
    """Return a finding where the load was held up for longer than a lock may be waited for."""
    limit = LOCK_WAIT_TIMEOUT_S + QUEUE_ALLOWANCE_S
    gap = (scene.run.report().get("load") or {}).get("longest_gap", 0.0)
    if gap > limit:
        yield f"the load had no success for {gap:.1f} s, allowed are {limit} s"


def nothing_was_drained(scene: Scene) -> Iterable[str]:
    """Return a finding where a node left rotation, or does not serve."""
    for state in nodes.read_states(scene.client):
        if "drain" in moments.node_states(scene.run.events(), state.node.name):
            yield f"{state.node.name} was drained although HAProxy does not answer"
    yield from all_serve(scene)


def nothing_was_stopped(scene: Scene) -> Iterable[str]:
    """Return a finding where keystone-1's service was stopped, or it does not serve again."""
    if "stopped" in moments.node_states(scene.run.events(), "keystone-1"):
        yield "keystone-1's service was stopped"
    yield from all_serve(scene)


def all_serve(scene: Scene) -> Iterable[str]:
    """Return a finding for each server that HAProxy sends nothing to."""
    for server in balancer.servers():
        if not server.serving:
            yield f"{server.name} is {server.operational}/{server.administrative}"


def upgraded_up_to(number: int, scene: Scene) -> Iterable[str]:
    """Return a finding unless exactly the first nodes are upgraded, and the next not begun."""
    for position, state in enumerate(nodes.read_states(scene.client), start=1):
        wanted = TARGET if position <= number else SOURCE
        if state.running != wanted:
            yield f"{state.node.name} runs {state.running or 'nothing'}, not {wanted}"
    following = f"keystone-{number + 1}"
    if following in moments.steps(scene.run.events()):
        yield f"{following} was begun"


def contract_was_not_begun(scene: Scene) -> Iterable[str]:
    """Return a finding where contract was begun although something old is left."""
    if "contract" in moments.steps(scene.run.events()):
        yield "contract was begun"
    yield from contract_is("24")
    gates = {verdict["gate"] for verdict in moments.verdicts(scene.run.events(), "release")}
    if "all nodes" not in gates:
        yield f"no gate 'all nodes' among {', '.join(sorted(gates)) or 'none'}"


def all_at_source(scene: Scene) -> Iterable[str]:
    """Return a finding unless every node runs the source release and serves."""
    for state in nodes.read_states(scene.client):
        if state.running != SOURCE:
            yield f"{state.node.name} runs {state.running or 'nothing'}, not {SOURCE}"
    yield from all_serve(scene)


def all_at_target(scene: Scene) -> Iterable[str]:
    """Return a finding for each node whose process was not started from the target release."""
    for state in nodes.read_states(scene.client):
        if state.running != TARGET:
            yield f"{state.node.name} runs {state.running or 'nothing'}, not {TARGET}"


def noted(node: str, words: str) -> Callable[[Scene], Iterable[str]]:
    """Return a question that finds fault unless a node's cycle has noted these words."""

    def question(scene: Scene) -> Iterable[str]:
        notes = [
            event["text"]
            for event in scene.run.events()
            if event["kind"] == "node" and event["node"] == node and event["state"] == "note"
        ]
        if not any(words in text for text in notes):
            yield f"no note of {node} says {words!r}, but {notes or 'none'}"

    return question


def left_to_the_person(scene: Scene) -> Iterable[str]:
    """Return a finding where keystone-3 was touched although a person had taken it out."""
    if "drain" in moments.node_states(scene.run.events(), "keystone-3"):
        yield "keystone-3 was drained although a person had taken it out"
    for state, wanted in zip(
        nodes.read_states(scene.client), (TARGET, TARGET, SOURCE), strict=True
    ):
        if state.running != wanted:
            yield f"{state.node.name} runs {state.running or 'nothing'}, not {wanted}"


def some_node_is_upgraded() -> Iterable[str]:
    """Return a finding where there is no node to take back."""

    if not any(state.running == TARGET for state in nodes.read_states(engine.connect())):
        yield f"no node runs {TARGET}: there is nothing to take back"


FAULTS = [
    Fault(
        "6",
        "the repository is unreachable for keystone-2",
        moment=moments.recorded("load_started"),
        strike=repository_unreachable,
        says=("keystone-2 still serves 12.0.3, nothing was installed",),
        afterwards=repository_is_back,
    ),
    Fault(
        "30",
        "a phase that ends below the head",
        prepare=expand_that_does_nothing,
        says=("measured keystone_expand at 24", "limit: head 44"),
    ),
    Fault(
        "15",
        "a long transaction holds a metadata lock",
        moment=moments.step("expand"),
        strike=long_transaction,
        says=("lock_wait_timeout",),
        afterwards=load_was_clean,
    ),
    Fault(
        "16",
        "the database dies during expand",
        moment=moments.step("expand"),
        strike=database_dies_while_expand_waits,
        breaks_service=True,
    ),
    Fault(
        "19+29",
        "Locust dies, and the variable is set back by hand",
        moment=moments.step("token_flush"),
        strike=locust_dies_and_variable_is_set_back,
        violates=(
            Violation("load process", "has ended", "spawning or running"),
            Violation(
                "log_bin_trust_function_creators", "0", "1 from before expand until after contract"
            ),
        ),
    ),
    Fault(
        "20",
        "Locust hangs",
        moment=STAGED,
        strike=locust_hangs,
        violates=(
            Violation("load process", "has not written its state for", "spawning or running"),
        ),
        breaks_service=True,
    ),
    Fault(
        "11",
        "HAProxy is gone before drain",
        moment=moments.step("keystone-1"),
        strike=haproxy_gone_before_drain,
        says=("does not answer",),
        afterwards=nothing_was_drained,
    ),
    Fault(
        "12",
        "HAProxy is gone after drain",
        moment=BEFORE_STAGING,
        strike=haproxy_gone_after_drain,
        says=("does not answer", "nothing was stopped"),
        afterwards=nothing_was_stopped,
    ),
    Fault(
        "13",
        "a session that does not end",
        moment=BEFORE_STAGING,
        strike=session_that_does_not_end,
        says=("0 sessions not reached after 8 s", "nothing was stopped"),
        afterwards=nothing_was_stopped,
    ),
    Fault(
        "10",
        "keystone-3 dies while keystone-1 is drained",
        moment=BEFORE_STAGING,
        strike=another_node_dies_while_one_drains,
        cloud={"limits": {"node": {"drain_seconds": 30}}},
        says=("Not serving: keystone-3", "nothing was stopped"),
        breaks_service=True,
        afterwards=nothing_was_stopped,
    ),
    Fault(
        "9",
        "keystone-1 dies between stop and start",
        moment=moments.node("keystone-1", "stopped"),
        strike=node_dies_between_stop_and_start,
        says=("keystone-1 is OUT of rotation",),
    ),
    Fault(
        "7",
        "a bad configuration for the target release",
        moment=STAGED,
        strike=bad_configuration,
        cloud={"limits": {"node": {"start_seconds": 8}}},
        says=(BACK,),
        afterwards=all_at_source,
    ),
    Fault(
        "8",
        "other fernet keys on the target release",
        moment=STAGED,
        strike=other_keys,
        says=(BACK,),
        afterwards=all_at_source,
    ),
    Fault(
        "21a",
        "requests fail between two nodes",
        moment=moments.node("keystone-1", "proved"),
        strike=requests_fail_between_two_nodes,
        violates=(Violation("load failures", " failed of ", "0"),),
        breaks_service=True,
        afterwards=lambda scene: upgraded_up_to(1, scene),
    ),
    Fault(
        "21b",
        "p99: the nodes that serve hang for 4 s",
        moment=moments.node("keystone-2", "started"),
        strike=nodes_hang,
        cloud={
            "load": {"profile": {"users": 40}},
            "limits": {"load": {"p99_floor_ms": 2000, "p99_multiple": 1.5}},
        },
        violates=(Violation("load p99", " ms of "),),
        afterwards=lambda scene: upgraded_up_to(2, scene),
    ),
    Fault(
        "22+23",
        "an unknown server, and an upgraded node taken back by hand",
        moment=moments.node("keystone-3", "stopped"),
        prepare=unknown_node_runs,
        strike=unknown_server_and_old_node,
        violates=(
            Violation("server", "not a node of the cloud file", subject="haproxy/keystone-4"),
            Violation("release", "stopped", subject="keystone-1"),
        ),
        afterwards=contract_was_not_begun,
    ),
    Fault(
        "31",
        "all nodes go back under load",
        Ends.GREEN,
        dag="keystone_rollback",
        needs=some_node_is_upgraded,
        afterwards=all_at_source,
    ),
    Fault(
        "32",
        "keystone-1 set ready by hand while it is stopped",
        Ends.GOES_ON,
        moments.node("keystone-1", "stopped"),
        stopped_server_is_set_ready,
        cloud=SERVICE_BREAKS,
        afterwards=noted("keystone-1", "was set to ready on haproxy by hand"),
    ),
    Fault(
        "33",
        "HAProxy reloaded while keystone-2 is stopped",
        Ends.GOES_ON,
        moments.node("keystone-2", "stopped"),
        haproxy_is_reloaded,
        cloud=SERVICE_BREAKS,
        afterwards=noted("keystone-2", "was restarted, which made keystone-2 ready"),
    ),
    Fault(
        "34",
        "the next server set to maint by hand",
        moment=moments.node("keystone-2", "up"),
        strike=next_server_is_taken_out,
        says=("keystone-3 was taken out by hand, no upgrade did",),
        breaks_service=True,
        afterwards=left_to_the_person,
    ),
    Fault(
        "35",
        "keystone-3's package replaced without a restart, its start dated by a clock ahead",
        Ends.GOES_ON,
        STAGED,
        package_replaced_without_a_restart,
        prepare=runs_on_a_disk_of_their_own,
        cloud=SERVICE_BREAKS,
    ),
    Fault(
        "36",
        "the disk of the runs is full while keystone-3 is stopped",
        moment=moments.node("keystone-3", "stopped"),
        prepare=runs_on_a_disk_of_their_own,
        strike=disk_full_while_stopped,
        cloud=SERVICE_BREAKS,
        breaks_service=True,
        says=("Not in the record, because it cannot be written",),
    ),
    Fault("36a", "the next run finishes", Ends.GREEN, afterwards=all_at_target),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.title for fault in FAULTS])
def test_the_upgrade_stops_safely(campaign: Campaign, fault: Fault) -> None:
    campaign.face(fault)
