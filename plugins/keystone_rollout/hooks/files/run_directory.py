"""Keep a run's files in a directory of its own: events, load samples, backup, report."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.load.samples import Sample, parse_samples, under_load
from keystone_rollout.domain.run.estimate import PastRun, estimate, hop_of, past_run
from keystone_rollout.domain.run.events import (
    VERSION,
    Event,
    Kind,
    Opened,
    RecordUnreadable,
    last_of,
    of_kind,
    read_event,
)
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK

EVENTS = "events.jsonl"


def runs_folder() -> Path:
    """Return the folder that holds all runs: ROLLOUT_RUNS, or `rollout` in AIRFLOW_HOME."""
    default = Path(os.environ.get("AIRFLOW_HOME", Path.home() / "airflow")) / "rollout"
    return Path(os.environ.get("ROLLOUT_RUNS", default))


def rehearsals_folder() -> Path:
    """Return the folder of all clouds' rehearsals: beside that of all runs, not in it."""
    return runs_folder().parent / "rehearsals"


class RunDirectory:
    """The directory and record of one run; several processes use it at once."""

    def __init__(
        self, run_id: str, folder: Path | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.run_id = run_id
        self.clock = clock
        self.path = (folder or runs_folder()) / folder_name(run_id)
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    @classmethod
    def existing(cls, run_id: str) -> RunDirectory | None:
        """Return the directory of an earlier run, or None if it left none on this machine."""
        path = runs_folder() / folder_name(run_id)
        return cls(run_id) if path.is_dir() else None

    @property
    def load(self) -> Path:
        """Return the directory in which the load writes."""
        return self.path / "load"

    def record(self, event: Event) -> None:
        """Append an event with the time; a line is written whole or not at all."""
        moment = {"t": round(self.clock.now(), 3)}
        with (self.path / EVENTS).open("a", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not os.fstat(stream.fileno()).st_size:
                stream.write(_line({**Opened().to_dict(), **moment}))
            stream.write(_line({**event.to_dict(), **moment}))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time into a block: tasks of one run are cleared together."""
        with (self.path / "alone.lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def all_events(self) -> list[Event]:
        """Return the events in the order they happened; RecordUnreadable for another version's."""
        return [read_event(data) for data in self._lines()]

    def events(self, kind: type[Kind]) -> list[Kind]:
        """Return the events of one kind, as `all_events` does."""
        found = [read_event(data) for data in self._lines() if data["kind"] == kind.kind]
        return of_kind(found, kind)

    def last(self, kind: type[Kind]) -> Kind | None:
        """Return the newest event of a kind."""
        return last_of(self.events(kind), kind)

    def samples(self) -> list[Sample]:
        """Return what the sessions of the load measured, each without its end."""
        folders = sorted(self.load.glob("*"), key=lambda path: int(path.name))
        files = [path for folder in folders if (path := folder / "samples.jsonl").exists()]
        return [
            sample
            for path in files
            for sample in under_load(parse_samples(path.read_text(), str(path)))
        ]

    def _lines(self) -> list[dict[str, Any]]:
        path = self.path / EVENTS
        if not path.exists():
            return []
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        version = lines[0].get("version", 1) if lines else VERSION
        if version != VERSION:
            raise RecordUnreadable(
                f"{path} was recorded by another version of this project: record version "
                f"{version}, this one reads {VERSION}. Nothing was changed. Next: start a new run"
            )
        return lines

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


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True) + "\n"


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
            events = RunDirectory(path.parent.name).all_events()
            run = past_run(events)
        except (OSError, ValueError, KeyError, TypeError):
            unreadable.append(path.parent.name)
            continue
        if run is not None:
            found.append((events[0].t, run))
    return [run for _, run in sorted(found, key=lambda each: each[0])], unreadable
