"""The approval's question shows what was measured, and what speaks against an approval first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keystone_rollout.domain.run.events import BaselineMeasured
from keystone_rollout.views.messages.approval import (
    BackupEvidence,
    ContractEvidence,
    LoadEvidence,
    NodeEvidence,
    approval_text,
    open_points,
)

GOOD = ContractEvidence(
    cloud="lab",
    source="12.0.3 (Pike)",
    target="13.0.4 (Queens)",
    nodes=[
        NodeEvidence("keystone-1", "13.0.4 running", True),
        NodeEvidence("keystone-2", "13.0.4 running", True),
    ],
    load=LoadEvidence(requests=5415, failures=0, p99=610.0, baseline_p99=240.0),
    backup=BackupEvidence("/srv/backups/run.sql", 7_654_321, 1772359200.0, "38 tables restored"),
    pending=["025_contract_add_x", "044_contract_y"],
    forecast="contract runs 2 migrations: 025_contract_add_x, 044_contract_y",
    schema="109/44/44/24",
    heads="expand 44, migrate 44, contract 44",
    deviations=["param load_rate: load.profile.rate is 30 in this run, 60 in the cloud file"],
    answer_seconds=3600,
)


def test_all_of_the_evidence_is_there() -> None:
    assert (
        approval_text(GOOD)
        == """\
Every node serves 13.0.4 (Queens), no request failed, the backup is verified.

lab: 12.0.3 (Pike) → 13.0.4 (Queens). After contract no node can be rolled back to 12.0.3 (Pike); \
the only way back is the backup, with a downtime and without every write since.

**Nodes**

* keystone-1: 13.0.4 running
* keystone-2: 13.0.4 running

**Clients, since the load began**

* 0 of 5,415 requests failed
* p99 of the whole run: 610 ms; baseline before anything changed: 240 ms (2.5 times)

**Backup**

* `/srv/backups/run.sql`, 7.3 MiB, verified 2026-03-01 10:00:00 UTC
* 38 tables restored

**Contract**

* schema now: 109/44/44/24; heads of 13.0.4 (Queens): expand 44, migrate 44, contract 44
* will run `025_contract_add_x`
* will run `044_contract_y`

**Set otherwise than in the cloud file, or worth knowing**

* param load_rate: load.profile.rate is 30 in this run, 60 in the cloud file

No answer within 1 h 0 min is a rejection. Rejected: the run ends red, everything serves on; clear \
this task to be asked again, or trigger `keystone_rollback`."""
    )


def test_a_node_that_is_not_done_comes_first_and_is_marked() -> None:
    nodes = [*GOOD.nodes, NodeEvidence("keystone-3", "unknown: no route to host", False)]
    text = approval_text(replace(GOOD, nodes=nodes))
    assert text.startswith("**Look at this first:** not on 13.0.4 (Queens): keystone-3.\n")
    assert "* keystone-3: unknown: no route to host (**not the target release**)" in text


@pytest.mark.parametrize(
    ("change", "point"),
    [
        ({"nodes": []}, "no node is known"),
        ({"load": replace(GOOD.load, failures=1200)}, "1,200 requests failed"),
        (
            {"load": LoadEvidence(0, 0, None, None)},
            "no request was made, so nobody knows whether clients noticed",
        ),
        ({"backup": None}, "no backup was verified in this run"),
        (
            {"backup": BackupEvidence("/x", 1, None)},
            "no backup was verified in this run",
        ),
    ],
)
def test_what_is_missing_is_never_taken_for_good(change: dict[str, object], point: str) -> None:
    evidence = replace(GOOD, **change)  # type: ignore[arg-type]
    assert open_points(evidence) == [point]
    assert approval_text(evidence).startswith(f"**Look at this first:** {point}.\n")


def test_a_second_baseline_is_not_called_the_undisturbed_cloud() -> None:
    again = BaselineMeasured(session=2, start=0, end=20, p99=410.0,
                             step="before approval")  # fmt: skip
    text = approval_text(replace(GOOD, load=replace(GOOD.load, measured_again=[again])))
    assert (
        "* p99 of the whole run: 610 ms; baseline before anything changed: 240 ms (2.5 times)\n"
        "* measured again before approval, in mid-upgrade: 410 ms (not the undisturbed cloud)\n"
    ) in text


def test_what_was_not_measured_says_so() -> None:
    text = approval_text(replace(GOOD, load=LoadEvidence(0, 0, None, None), backup=None))
    assert "* requests: not enough data, none was made" in text
    assert "**Backup**\n\n* none in this run" in text
    text = approval_text(replace(GOOD, load=LoadEvidence(9, 0, None, None)))
    assert (
        "p99 of the whole run: not enough data; baseline before anything changed: not enough"
        in text
    )
    assert "times)" not in text
    assert "**not verified**" in approval_text(replace(GOOD, backup=BackupEvidence("/x", 1, None)))


def test_a_contract_with_nothing_to_do_says_why() -> None:
    text = approval_text(replace(GOOD, pending=[], forecast="contract has nothing to do"))
    assert "* contract has nothing to do" in text
    assert "will run" not in text


def test_without_deviations_there_is_no_list_of_them() -> None:
    assert "otherwise" not in approval_text(replace(GOOD, deviations=[]))
