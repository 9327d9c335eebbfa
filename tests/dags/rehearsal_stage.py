"""Run steps of a rehearsal without a database and without nodes: only those two are played."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.run.lock import LockHolder, RunIdentity, judge_lock
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.project import PROJECT
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.hooks.node.all_nodes import AllNodes
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.systems import RealSystems
from operators.rehearsal.upgrade import RehearseUpgradeOperator

RUN_ID = "scheduled__2026-03-01T02:00:00+00:00"
LAB = PROJECT / "include" / "clouds" / "lab.yaml"


def write_cloud(folder: Path, **changes: Any) -> None:
    """Write the lab's cloud file with other values at its top level; None takes a key away."""
    cloud = yaml.safe_load(LAB.read_text(encoding="utf-8"))
    cloud.update(changes)
    cloud = {key: value for key, value in cloud.items() if value is not None}
    (folder / "lab.yaml").write_text(yaml.safe_dump(cloud, sort_keys=False), encoding="utf-8")


class PlayedLock:
    """Hold a cloud's lock in memory, judged as the real one is."""

    def __init__(self, run_id: str, holder: str = "") -> None:
        self.run_id, self.held_by = run_id, holder
        self.taken = 0

    def take(self) -> tuple[Verdict, None]:
        held_by = self.held_by
        holder = LockHolder(held_by, "there", "now", 1, token=held_by) if held_by else None
        own = RunIdentity(self.run_id, token=self.run_id)
        verdict = judge_lock("lab", holder, own, "", 300)
        if verdict.ok:
            self.held_by = self.run_id
            self.taken += 1
        return verdict, None

    def keep_alive(self) -> None:
        assert self.held_by == self.run_id

    def release(self) -> bool:
        mine = self.held_by == self.run_id
        self.held_by = "" if mine else self.held_by
        return mine


class PlayedNode:
    """Answer what a node runs, as `report_release` prints it."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def run(self, step: Step, release: str) -> str:
        assert step is Step.REPORT_RELEASE
        return self.answer

    def missing_privileges(self) -> list[str]:
        return []


def context(**params: str) -> dict[str, Any]:
    """Return what a task of a scheduled rehearsal is given."""
    given = {"cloud": "lab", "source": "", "target": "", "dump": "", "break_lock": "", **params}
    return {
        "params": given,
        "run_id": RUN_ID,
        "ti": SimpleNamespace(
            task_id="step", try_number=2, dag_id="keystone_rehearsal", run_id=RUN_ID,
            get_dag=lambda dag_id: SimpleNamespace(dag_id=dag_id, is_paused=False),
        ),
        "dag_run": SimpleNamespace(triggering_user_name=None),
    }  # fmt: skip


def rollout_run(
    *answers: str, holder: str = "", run_id: str = RUN_ID
) -> tuple[RolloutRun, PlayedLock]:
    """Return a rehearsal's run of the cloud files' lab, and the lock it finds.

    Its nodes are played: ``answers`` is what they run.
    """
    name, cloud = f"rehearsal__lab__{run_id}", load_cloud("lab")
    lock = PlayedLock(name, holder)
    systems = RealSystems(cloud, name)
    systems.lock = lock  # type: ignore[assignment]
    if answers:
        nodes = dict(zip(cloud.node_names, map(PlayedNode, answers), strict=True))
        systems.nodes = AllNodes(cloud, nodes)  # type: ignore[arg-type]
    return RolloutRun(cloud, RunDirectory(name), "step", found=systems), lock


class TriggerHere(RehearseUpgradeOperator):
    """Trigger without a database: the lock is played."""

    def rollout_run(self, context: Any) -> RolloutRun:
        """Return a run whose lock is free."""
        return rollout_run(run_id=str(context["run_id"]))[0]
