"""Runs on a simulated cloud, first without any fault."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from keystone_rollout.domain.schema.versions import Phase
from tests.simulation.runs import simulation
from tests.simulation.site import HEADS, SOURCE, SOURCE_HEAD, TARGET


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
