"""Lock and marks live in the cloud's own database, and hold against everybody."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.cycle import NodeState, TakenOver
from keystone_rollout.domain.run.events import NodeChanged
from keystone_rollout.domain.run.lock import RunIdentity
from keystone_rollout.hooks.database.marks import ServersOut
from keystone_rollout.hooks.database.upgrade_lock import UpgradeLock
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.node.cycle import CycleNotes
from keystone_rollout.procedures.run.run import RolloutRun
from lab.cloud import database

pytestmark = pytest.mark.lab


@pytest.fixture
def cloud(lab_connections: None) -> Iterator[Cloud]:
    """Return the lab under another name, so that no other test's lock is in the way."""
    database.execute("DROP DATABASE IF EXISTS keystone_rollout")
    lab = load_cloud("lab")
    limits = lab.limits.model_copy(update={"lock_stale_seconds": 60})
    yield lab.model_copy(update={"name": "lock-test", "limits": limits})
    database.execute("DROP DATABASE IF EXISTS keystone_rollout")


def lock(cloud: Cloud, run_id: str, break_run: str = "") -> UpgradeLock:
    return UpgradeLock(cloud, RunIdentity(run_id, "keystone_upgrade", "", run_id), break_run)


def age(seconds: int) -> None:
    database.execute(
        "UPDATE keystone_rollout.upgrade_lock SET heartbeat = heartbeat - INTERVAL %s SECOND",
        (seconds,),
    )


def test_looking_makes_nothing(cloud: Cloud) -> None:
    assert lock(cloud, "one").holder() is None
    assert ServersOut(cloud).all() == {}
    assert database.execute("SHOW DATABASES LIKE 'keystone\\_rollout'") == []


def test_the_second_run_is_refused_until_the_first_gives_the_lock_back(cloud: Cloud) -> None:
    first, second = lock(cloud, "one"), lock(cloud, "two")
    assert first.take()[0].ok
    assert first.take()[0].ok, "its own lock stands in nobody's way"
    verdict, _broken = second.take()
    assert not verdict.ok
    assert verdict.measured.startswith("held by run one of ")
    assert not second.release()
    assert first.release()
    assert second.take()[0].ok


def test_of_many_at_once_one_gets_it(cloud: Cloud) -> None:
    lock(cloud, "warm-up").take()
    lock(cloud, "warm-up").release()
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: lock(cloud, f"run-{n}").take()[0].ok, range(8)))
    assert taken.count(True) == 1


def test_only_a_silent_lock_is_broken_and_only_by_name(cloud: Cloud) -> None:
    lock(cloud, "dead").take()
    assert not lock(cloud, "two", break_run="dead").take()[0].ok, "it is alive"
    age(61)
    assert not lock(cloud, "two", break_run="other").take()[0].ok
    verdict, broken = lock(cloud, "two", break_run="dead").take()
    assert verdict.ok
    assert broken is not None
    assert broken.run_id == "dead"
    holder = lock(cloud, "three").holder()
    assert holder is not None
    assert (holder.run_id, holder.silent_seconds) == ("two", 0)


def test_another_run_of_the_same_id_is_another_run(cloud: Cloud) -> None:
    first = UpgradeLock(cloud, RunIdentity("one", "keystone_upgrade", "", "a"))
    second = UpgradeLock(cloud, RunIdentity("one", "keystone_rollback", "", "b"))
    assert first.take()[0].ok
    verdict, _broken = second.take()
    assert not verdict.ok
    assert verdict.measured.startswith("held by run one of keystone_upgrade at ")
    assert verdict.measured.endswith("which is another run of the same id")
    age(61)
    second.keep_alive()
    assert not second.release()
    assert first.judge().ok
    again = UpgradeLock(cloud, RunIdentity("one", "keystone_rollback", "", "b"), "one")
    assert again.take()[0].ok, "it was silent, and is named"
    assert not first.judge().ok


def test_a_dead_lock_is_broken_although_the_databases_clock_was_set_back(cloud: Cloud) -> None:
    lock(cloud, "dead").take()
    age(-59)
    assert not lock(cloud, "two", break_run="dead").take()[0].ok, "it may be alive"
    age(-10)
    holder = lock(cloud, "two").holder()
    assert holder is not None
    assert -69 <= holder.silent_seconds <= -65
    assert not lock(cloud, "two").take()[0].ok
    assert lock(cloud, "two", break_run="dead").take()[0].ok


OLD = """CREATE TABLE keystone_rollout.upgrade_lock (
  cloud VARCHAR(64) NOT NULL PRIMARY KEY,
  run_id VARCHAR(250) NOT NULL,
  place VARCHAR(250) NOT NULL,
  since TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  heartbeat TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
)"""
"""How an earlier version of this project made it."""


def test_a_lock_of_an_earlier_version_is_read_respected_broken_and_extended(cloud: Cloud) -> None:
    database.execute("CREATE DATABASE keystone_rollout")
    database.execute(OLD)
    insert = "INSERT INTO keystone_rollout.upgrade_lock (cloud, run_id, place) VALUES (%s, %s, %s)"
    database.execute(insert, ("lock-test", "dead", "host-a:/airflow"))
    holder = lock(cloud, "two").holder()
    assert holder is not None
    assert (holder.run_id, holder.dag, holder.token) == ("dead", "", "")
    assert not lock(cloud, "dead").take()[0].ok, "a run without a token is nobody's own"
    age(61)
    assert lock(cloud, "two", break_run="dead").take()[0].ok
    assert not lock(cloud, "three").take()[0].ok
    assert lock(cloud, "two").release()


def test_a_heartbeat_keeps_the_lock(cloud: Cloud) -> None:
    held = lock(cloud, "one")
    held.take()
    age(61)
    held.keep_alive()
    assert not lock(cloud, "two", break_run="one").take()[0].ok


def test_an_attempt_that_was_overtaken_stops(cloud: Cloud, tmp_path: Any) -> None:
    run = RolloutRun(cloud, RunDirectory("run-1", tmp_path), "upgrade_node")
    node = cloud.nodes[0]
    first, second = CycleNotes(run, node), CycleNotes(run, node)
    first(NodeState.FOUND, "12.0.3 running")
    first(NodeState.DRAIN, "no new requests")
    assert ServersOut(cloud).all()[node.server].run_id == "run-1"
    first(NodeState.MAINT, "0 sessions")
    second(NodeState.FOUND, "12.0.3 installed, service stopped")
    with pytest.raises(TakenOver, match="another attempt took keystone-1 over"):
        first(NodeState.STOPPED, "service stopped")
    second(NodeState.UP, "ready and UP")
    assert ServersOut(cloud).all() == {}
    states = [event.state for event in run.directory.events(NodeChanged)]
    assert states == ["found", "drain", "maint", "found", "up"]
