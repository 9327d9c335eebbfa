"""The plan reads the running lab, changes nothing of it, and says what it found."""

from __future__ import annotations

import json

import pytest

from lab import hop
from lab.cloud import balancer, database, nodes
from lab.plan import new_run
from machine.engine import connect

pytestmark = pytest.mark.lab


def test_a_plan_of_the_lab_is_ready_and_changes_nothing(fresh_lab: object) -> None:
    def truth() -> tuple[object, ...]:
        return (
            balancer.servers(),
            database.schema_versions(),
            nodes.read_states(connect()),
            database.execute("SHOW DATABASES"),
        )

    before, lab_hop = truth(), hop.current()
    run = new_run(lab_hop)
    run.start()
    assert run.wait(180) == 0, run.log
    assert truth() == before
    assert run.directory is not None
    text = (run.directory / "plan.txt").read_text(encoding="utf-8")
    data = json.loads((run.directory / "plan.json").read_text(encoding="utf-8"))

    assert text.startswith("READY: KEYSTONE UPGRADE OF CLOUD lab\n")
    assert str(lab_hop.source.release) in text
    assert (data["ready"], data["findings"]) == (True, [])
    assert [each["release"] for each in data["parts"]["nodes"]["nodes"]] == [
        f"{lab_hop.source.version} running"
    ] * 3
    phases = data["parts"]["migrations"]["phases"]
    assert [phase["phase"] for phase in phases] == ["expand", "migrate", "contract"]
    named = [
        each["name"]
        for phase in phases
        for each in phase["pending"]
        if "placeholder" not in each["name"]
    ]
    assert named
    assert [name for name in named if name not in text] == []
    users = data["parts"]["schema"]["tables"]["user"]
    assert users["exact"]
    assert users["rows"] >= 2000
    assert (run.directory / "plan.html").exists()
