"""Read what earlier upgrades took from the run directories on this machine."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.run.estimate import PastRun, estimate, hop_of, past_run
from keystone_rollout.hooks.files.run_directory import EVENTS, RunDirectory, runs_folder


def read_estimate(cloud: Cloud) -> dict[str, Any]:
    """Return the plan's part about time; ``unreadable`` names the runs that say nothing."""
    runs, unreadable = past_runs()
    return {
        **estimate(runs, cloud.name, hop_of(cloud.source, cloud.target)),
        "unreadable": unreadable,
        "findings": [],
    }


def past_runs() -> tuple[list[PastRun], list[str]]:
    """Return the upgrades in the order in which they began, and the names of unreadable runs."""
    found: list[tuple[float, PastRun]] = []
    unreadable = []
    for path in sorted(runs_folder().glob(f"*/{EVENTS}")):
        try:
            events = RunDirectory(path.parent.name).events()
            run = past_run(events)
        except (OSError, ValueError, KeyError, TypeError):
            unreadable.append(path.parent.name)
            continue
        if run is not None:
            found.append((events[0]["t"], run))
    return [run for _, run in sorted(found, key=lambda each: each[0])], unreadable
