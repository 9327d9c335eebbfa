"""Keep what a run did in a directory of its own: events, load samples, backup, report."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.run.estimate import PastRun, estimate, hop_of, past_run
from keystone_rollout.domain.verdict import Verdict

EVENTS = "events.jsonl"


def runs_folder() -> Path:
    """Return the folder that holds all runs: ROLLOUT_RUNS, or `rollout` in AIRFLOW_HOME."""
    default = Path(os.environ.get("AIRFLOW_HOME", Path.home() / "airflow")) / "rollout"
    return Path(os.environ.get("ROLLOUT_RUNS", default))


def rehearsals_folder() -> Path:
    """Return the folder of all clouds' rehearsals: beside that of all runs, not in it."""
    return runs_folder().parent / "rehearsals"


class RunDirectory:
    """Append to and read the record of one run; several processes do so at once."""

    def __init__(self, run_id: str, folder: Path | None = None) -> None:
        self.run_id = run_id
        self.path = (folder or runs_folder()) / folder_name(run_id)
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    @classmethod
    def existing(cls, run_id: str) -> RunDirectory | None:
        """Return the directory of an earlier run, or None where it left none on this machine."""
        path = runs_folder() / folder_name(run_id)
        return cls(run_id) if path.is_dir() else None

    @property
    def load(self) -> Path:
        """Return the directory in which the load writes."""
        return self.path / "load"

    def record(self, kind: str, **fields: Any) -> None:
        """Append one event; a line is written whole or not at all."""
        line = json.dumps({"t": round(time.time(), 3), "kind": kind, **fields}, sort_keys=True)
        with (self.path / EVENTS).open("a", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(line + "\n")

    def record_verdicts(self, gate: str, verdicts: list[Verdict]) -> None:
        """Append the verdicts of one gate."""
        self.record("gate", gate=gate, verdicts=[verdict.to_dict() for verdict in verdicts])

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the events in the order they happened, all or of one kind."""
        path = self.path / EVENTS
        if not path.exists():
            return []
        events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [event for event in events if kind in (None, event["kind"])]

    def last(self, kind: str) -> dict[str, Any] | None:
        """Return the newest event of a kind."""
        return next(reversed(self.events(kind)), None)

    def write_json(self, name: str, data: Mapping[str, Any]) -> Path:
        """Write data as JSON, see `write_text`."""
        return self.write_text(name, json.dumps(data, indent=1, sort_keys=True))

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of this run in one step, so that no reader sees half of it."""
        path = self.path / name
        part = self.path / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(path)
        return path


def folder_name(run_id: str) -> str:
    """Return the name of a run's folder: one name, which never leads out of the folder of all."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", run_id)
    return re.sub(r"^\.+$", lambda dots: "_" * len(dots[0]), name) or "_"


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
