"""Contract wants more than file dates of a node; a rollback, whose schema serves both, does not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from keystone_rollout.domain.verdict import Verdict, failed
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.node.verdicts import (
    Expectation,
    after_rollback,
    before_contract,
    verify_nodes,
)
from tests.stand_ins.systems import run_with

CLOUD = load_cloud("lab", "12.0.3", "13.0.4")


def releases(folder: Path, expected: Expectation, report: str) -> list[Verdict]:
    """Return what is wrong with the release of nodes that all print this report."""
    machine = SimpleNamespace(run=lambda step, release: report)
    prover = SimpleNamespace(prove=lambda: "proven")
    run = run_with(
        CLOUD,
        folder,
        nodes=SimpleNamespace(machine=lambda node: machine),
        keystone=SimpleNamespace(prover=lambda node, seconds, elsewhere: prover),
        balancers=SimpleNamespace(by_name={}),
    )
    return failed(verify_nodes(run, expected))


def test_a_process_that_nobody_noted_stops_contract_and_no_rollback(tmp_path: Path) -> None:
    new, old = (f"{release} 100.7 150 boot.5 160\n" for release in ("13.0.4", "12.0.3"))
    assert not releases(tmp_path, before_contract(CLOUD), new + new)
    wrong = releases(tmp_path, before_contract(CLOUD), new)
    assert [verdict.measured for verdict in wrong] == [
        "13.0.4 running, but only file dates say so: it was not started by an upgrade"
    ] * len(CLOUD.nodes)
    assert not releases(tmp_path, after_rollback(CLOUD), old)
    assert releases(tmp_path, after_rollback(CLOUD), old + new)
