"""Runs on a simulated cloud: first without any fault, then with one at each effect, then random.

`make simulate` tells more stories. A story that fails here is told again by its seed or its strikes
(`tests.simulation.stories.tell`); what it has found becomes a case there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from airflow.sdk import DAG

from keystone_rollout.domain.schema.versions import Phase
from tests.simulation.rules import false_claims, photo
from tests.simulation.runs import simulated_cloud, simulation
from tests.simulation.site import HEADS, SOURCE, SOURCE_HEAD, TARGET, Site
from tests.simulation.stories import (
    CASES,
    DAGS,
    RESTORE,
    UPGRADE,
    Case,
    Told,
    effects_of,
    known_of,
    one_fault,
    random_story,
    tell,
)
from tests.simulation.world import FIVE, PERSON, Dead, Effect, Fault, World


def test_an_upgrade_is_green(dags: dict[str, DAG]) -> None:
    with simulation(dags) as made:
        ended = made.upgrade("one")
        assert ended.green, ended
        assert {node.runs for node in made.site.nodes.values()} == {TARGET}
        assert made.site.live.versions == HEADS
        assert made.site.violations == []


def test_a_rollback_is_green(dags: dict[str, DAG]) -> None:
    with simulation(dags) as made:
        made.was_upgraded(contracted=False)
        ended = made.rollback("one")
        assert ended.green, ended
        assert {node.runs for node in made.site.nodes.values()} == {SOURCE}
        assert made.site.violations == []


def test_a_restore_is_green(dags: dict[str, DAG]) -> None:
    with simulation(dags) as made:
        made.was_upgraded(contracted=True)
        ended = made.restore("one")
        assert ended.green, ended
        assert {node.runs for node in made.site.nodes.values()} == {SOURCE}
        assert made.site.live.versions == dict.fromkeys(Phase, SOURCE_HEAD)
        assert made.site.violations == []


@pytest.mark.parametrize("approves", [True, False])
def test_a_person_is_asked(dags: dict[str, DAG], approves: bool) -> None:
    with simulation(dags) as made:
        made.site.approved = approves
        ended = made.upgrade("one", auto_approve=False)
        assert ended.green is approves, ended
        assert (made.site.live.versions == HEADS) is approves
        assert made.site.violations == []


PARTS = [
    (UPGRADE, "nodes.upgrade_node_0"),
    (UPGRADE, "set_"),
    (UPGRADE, "database.expand"),
    (UPGRADE, "database.migrate"),
    (UPGRADE, "contraction.contract"),
    (UPGRADE, "restore_"),
    (UPGRADE, "return_nodes"),
    (UPGRADE, "load.stop_load"),
    (UPGRADE, "release_lock"),
    (RESTORE, "swap_schemas"),
    (RESTORE, "settle_servers"),
]
"""One node's cycle, what holds for all phases, the phases, the teardowns, a restore's swap."""
SCHEDULES = 300


@pytest.fixture(scope="module")
def effects(dags: dict[str, DAG]) -> dict[str, list[Effect]]:
    """Return the effects of each DAG's run on which nothing strikes."""
    return {dag_id: effects_of(dags, dag_id) for dag_id in DAGS}


def unknown(told: Told) -> list[str]:
    """Return a story that breaks a rule and is not known for that, in words."""
    return [str(told)] if told.violations and known_of(told) is None else []


@pytest.mark.parametrize(("dag_id", "part"), PARTS)
def test_no_fault_breaks_a_rule(
    dags: dict[str, DAG], effects: dict[str, list[Effect]], dag_id: str, part: str
) -> None:
    chosen = [effect for effect in effects[dag_id] if effect.task.startswith(part)]
    assert chosen
    broken = [
        text
        for story in one_fault(dag_id, chosen, (*FIVE, *PERSON))
        for text in unknown(tell(dags, story))
    ]
    assert not broken, "\n".join(broken[:3])


def test_no_random_schedule_breaks_a_rule(
    dags: dict[str, DAG], effects: dict[str, list[Effect]]
) -> None:
    lengths = {dag_id: len(each) for dag_id, each in effects.items()}
    broken = [
        text
        for seed in range(SCHEDULES)
        for text in unknown(tell(dags, random_story(seed, lengths)))
    ]
    assert not broken, "\n".join(broken[:3])


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_case_breaks_what_it_is_known_for_and_nothing_else(
    dags: dict[str, DAG], effects: dict[str, list[Effect]], case: Case
) -> None:
    told = tell(dags, case.story(effects[case.dag_id]))
    assert {each.kind for each in told.violations} == ({case.known} - {""}), told
    assert told.struck


def test_a_story_is_told_again_exactly(
    dags: dict[str, DAG], effects: dict[str, list[Effect]]
) -> None:
    lengths = {dag_id: len(each) for dag_id, each in effects.items()}
    for seed in range(5):
        story = random_story(seed, lengths)
        first, second = tell(dags, story), tell(dags, story)
        assert first.effects == second.effects
        assert [str(run) for run in first.runs] == [str(run) for run in second.runs]


def test_a_dead_process_changes_nothing_whatever_it_catches() -> None:
    world, done = World({1: Fault.KILLED_BEFORE}), []

    def act(name: str) -> None:
        with suppress(BaseException):
            world.effect("system", name, lambda: done.append(name), RuntimeError, changes=True)

    for name in ("before", "at it", "after", "and again"):
        act(name)
    assert done == ["before"]
    assert world.run_lost
    with pytest.raises(Dead):
        world.sleep(1)


def test_a_system_that_fails_for_a_minute_answers_afterwards() -> None:
    world = World({0: Fault.FAILS_A_MINUTE})
    ask = partial(world.effect, "system", "ask", lambda: "answer", RuntimeError)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            ask()
    assert world.effect("another", "ask", lambda: "answer", RuntimeError) == "answer"
    world.sleep(60)
    assert ask() == "answer"


BREAKS: dict[str, Callable[[Site], object]] = {
    "capacity": lambda site: _take_out(site, "keystone-1", "keystone-2"),
    "stopped in rotation": lambda site: setattr(site.nodes["keystone-1"], "running", False),
    "unproven serves": lambda site: setattr(site.nodes["keystone-1"], "proven", False),
    "unfit serves": lambda site: site.live.versions.update({Phase.CONTRACT: 44}),
    "decision overridden": lambda site: site.by_person.add("keystone-1"),
    "without the lock": lambda site: setattr(site, "lock", ("another", 0.0)),
}
"""What breaks each rule that holds at each moment."""


def _take_out(site: Site, *names: str) -> None:
    for servers in site.balancers.values():
        for name in names:
            servers[name].admin = "maint"


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_rule_is_seen(kind: str) -> None:
    world = World(passed=100.0)
    site = Site(world, simulated_cloud())
    site.lock, site.run_id = ("run-1", 0.0), "run-1"
    world.effect("haproxy", "set", lambda: None, RuntimeError, changes=True)
    assert site.violations == []
    BREAKS[kind](site)
    world.effect("haproxy", "set", lambda: None, RuntimeError, changes=True)
    assert [each.kind for each in site.violations] == [kind]


@pytest.mark.parametrize("text", [
    "boom. keystone-1 was left as it was found",
    "boom. keystone-1 is ready and UP again, nothing was stopped. Clear this task",
    "boom. keystone-1 is rolled back to 12.0.3, ready and UP; no further node is started",
    "boom. Nothing was touched",
    "Refused: no server was taken out",
])  # fmt: skip
def test_a_false_sentence_is_seen(text: str) -> None:
    site = Site(World(passed=100.0), simulated_cloud())
    before = photo(site)
    assert list(false_claims(site, before, text)) == []
    _take_out(site, "keystone-1")
    assert [kind for kind, _ in false_claims(site, before, text)] == ["false claim"]
