"""Estimate how long each step takes, from earlier upgrades of the same cloud."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from keystone_rollout.domain.releases.identity import parse_identity
from keystone_rollout.domain.run.events import Event, Work
from keystone_rollout.domain.run.record import IN_ROTATION, NodeTaken, StepTaken, build_record

UPGRADE = "keystone_upgrade"
KINDS = {Work.NODE: "one node", Work.STAGE: "stage packages on one node"}
LAST_STEP = "upgrade_succeeded"
NO_PAST_RUN = "no past run here: a rehearsal measures it"


@dataclass(frozen=True)
class PastRun:
    """The times of one earlier upgrade, in seconds, without failed steps.

    ``total`` is the time in which some step ran, without the wait for an approval; None if the run
    did not succeed. ``out`` is how long each node took no requests.
    """

    cloud: str
    hop: tuple[int, int]
    steps: Mapping[str, tuple[float, ...]]
    out: tuple[float, ...]
    total: float | None


def past_run(events: Sequence[Event]) -> PastRun | None:
    """Read an upgrade from its events; None for any other run.

    Raises KeyError, TypeError or ValueError for a record of another program.
    """
    record = build_record("", events, [], "")
    plan = record.plan
    if record.dag != UPGRADE or plan is None:
        return None
    nodes = record.nodes.values()
    return PastRun(
        plan.cloud,
        hop_of(plan.source, plan.target),
        _seconds(record.steps),
        tuple(node.out_of_rotation for node in nodes if _went_well(node)),
        _total(record.steps),
    )


def hop_of(source: str, target: str) -> tuple[int, int]:
    """Return a hop by the numbers of its releases: patches do not change its times."""
    return parse_identity(source).major, parse_identity(target).major


def _went_well(node: NodeTaken) -> bool:
    return node.since is None and node.state in IN_ROTATION and node.out_of_rotation > 0


def _seconds(steps: Iterable[StepTaken]) -> dict[str, tuple[float, ...]]:
    """Return each kind of step with its times; of a repeated step the longest one counts.

    The shorter times are those of cleared tasks that found their work done.
    """
    longest: dict[tuple[Work, str], float] = {}
    for step in steps:
        # A plan is made for a run that is not resumed.
        if step.finished and step.ended is not None and step.work is not Work.RESUME:
            key = (step.work, step.name)
            longest[key] = max(step.ended - step.began, longest.get(key, 0.0))
    kinds: dict[str, list[float]] = {}
    for (work, name), took in longest.items():
        kinds.setdefault(KINDS.get(work, name), []).append(took)
    return {kind: tuple(times) for kind, times in kinds.items()}


def _total(steps: Sequence[StepTaken]) -> float | None:
    names = {step.name for step in steps}
    if LAST_STEP not in names or not all(step.finished for step in steps):
        return None
    covered, until = 0.0, 0.0
    for step in sorted(steps, key=lambda each: each.began):
        ended = step.ended or step.began
        covered += max(0.0, ended - max(step.began, until))
        until = max(until, ended)
    return covered


def estimate(runs: Sequence[PastRun], cloud: str, hop: tuple[int, int]) -> dict[str, object]:
    """Return the estimate as plain data, from runs in the order in which they happened.

    Every line counts runs of the same cloud and hop, or, if there are none, of its other hops.
    """
    own = [run for run in runs if run.cloud == cloud]
    same = [run for run in own if run.hop == hop]
    kinds = dict.fromkeys(kind for run in (*reversed(same), *reversed(own)) for kind in run.steps)
    steps = [
        {"step": kind, **found}
        for kind in kinds
        if (found := _line(same, own, lambda run, kind=kind: run.steps.get(kind, ())))
    ]
    return {
        "runs": len(same),
        "runs_of_other_hops": len(own) - len(same),
        "steps": steps,
        "total": _line(same, own, lambda run: () if run.total is None else (run.total,)),
        "out_of_rotation": _line(same, own, lambda run: run.out),
    }


def _line(same: Sequence[PastRun], own: Sequence[PastRun], times: Any) -> dict[str, object] | None:
    for runs, other in ((same, False), (own, True)):
        measured = [found for run in runs if (found := times(run))]
        seconds = [each for found in measured for each in found]
        if seconds:
            return {"median": round(median(seconds), 1), "worst": round(max(seconds), 1),
                    "runs": len(measured), "other_hop": other}  # fmt: skip
    return None
