"""Outages around the upgrade: of its machine, Docker, the load balancer, the database.

One lab, from the source release to two upgraded nodes. Several faults that do not hide each other
strike the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.scenarios import lab_state, moments
from tests.scenarios.aftermath import words_of
from tests.scenarios.campaign import Campaign
from tests.scenarios.fault import Ends, Fault
from tests.scenarios.node_strikes import packages_locked
from tests.scenarios.outage_strikes import (
    container_removed_while_expand_waits,
    database_silent_then_cut_off,
    haproxy_gone_at_return,
    killed_while_dumping,
    machine_is_lost,
    marks_do_not_answer,
    noisy_login,
    nothing_unfinished,
    report_says_tries,
)
from tests.scenarios.scene import Scene

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

START = lab_state.at_source
LOCK_TAKEN = moments.recorded("lock")
LIMITS = {"limits": {"connect_seconds": 3, "statement_seconds": 5, "teardown_seconds": 60}}


def said(*texts: str) -> Callable[[Scene], Iterable[str]]:
    """Return a question that finds fault unless a run that goes on has said each of these."""

    def question(scene: Scene) -> Iterable[str]:
        words = " ".join(words_of(scene.run).split())
        return [f"the run did not say {text!r}" for text in texts if text not in words]

    return question


FAULTS = [
    Fault(
        "41",
        "SIGKILL while the backup is dumped",
        Ends.KILLED,
        moments.step("backup_database"),
        killed_while_dumping,
    ),
    Fault(
        "37",
        "expand's container is removed",
        moment=moments.step("expand"),
        strike=container_removed_while_expand_waits,
        says=(
            "how db_sync --expand ended in container keystone-rollout-phase-lab is not known",
            "expand is half done: 13 of 20 migrations are missing",
            "All nodes still serve the old release",
        ),
        afterwards=nothing_unfinished,
    ),
    Fault(
        "43",
        "the machine is lost while keystone-1 is installed",
        Ends.LOST,
        moments.node("keystone-1", "stopped"),
        machine_is_lost,
    ),
    Fault(
        "43a",
        "the next run says what is not known",
        Ends.GOES_ON,
        LOCK_TAKEN,
        cloud=LIMITS,
        afterwards=said(
            "left no record on this machine",
            "not known: whether a migration of it is still at work at",
            "log_bin_trust_function_creators: known, it was 0 before",
            "known by their marks in the database: keystone-1",
            "missing: its backup",
            "gone: its baseline and its load samples",
            "gone: its ledger of acknowledged writes",
        ),
    ),
    Fault(
        "42",
        "keystone-1's login begins to print while it is out",
        Ends.GOES_ON,
        moments.node("keystone-1", "stopped"),
        noisy_login,
        cloud=LIMITS,
    ),
    Fault(
        "40",
        "HAProxy's runtime API is cut off when keystone-1 returns",
        Ends.GOES_ON,
        moments.node("keystone-1", "started"),
        haproxy_gone_at_return,
        cloud=LIMITS,
        afterwards=said("Trying again"),
    ),
    Fault(
        "46",
        "another process works on keystone-2's packages",
        Ends.GOES_ON,
        moments.node("keystone-2", "maint"),
        packages_locked,
        cloud=LIMITS,
    ),
    Fault(
        "39a",
        "a statement is not answered while keystone-2 is stopped",
        Ends.GOES_ON,
        moments.node("keystone-2", "stopped"),
        marks_do_not_answer,
        cloud=LIMITS,
        afterwards=said("the mark could not be read", "(limits.statement_seconds)"),
    ),
    Fault(
        "38+39",
        "the database takes connections and answers nothing, then the way to it is cut",
        moment=moments.node("keystone-2", "started"),
        strike=database_silent_then_cut_off,
        cloud=LIMITS,
        says=(
            "did not take a connection: measured",
            "(limits.connect_seconds)",
            "succeeded at try",
        ),
        afterwards=report_says_tries,
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.title for fault in FAULTS])
def test_an_outage_is_survived(campaign: Campaign, fault: Fault) -> None:
    campaign.face(fault)
