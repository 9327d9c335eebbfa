"""Keep a run's files in a directory of its own: events, load samples, backup, report."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.load.samples import Sample, SampleError, parse_samples, under_load
from keystone_rollout.domain.run.estimate import PastRun, estimate, hop_of, past_run
from keystone_rollout.domain.run.events import (
    Event,
    Kind,
    Unwritten,
    last_of,
    of_kind,
    read_event,
)
from keystone_rollout.domain.run.lock import RunIdentity
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.files.event_log import CUT_OFF, LOST, EventLog
from keystone_rollout.hooks.files.run_identity import (
    IDENTITY,
    RunNotIdentified,
    claim,
    find_folder,
    read_identity,
    run_folder,
)
from keystone_rollout.hooks.files.whole_file import whole_file

log = logging.getLogger(__name__)

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
        self,
        run_id: str,
        folder: Path | None = None,
        clock: Clock = SYSTEM_CLOCK,
        *,
        dag: str = "",
        path: Path | None = None,
    ) -> None:
        """Make the directory.

        :param folder: of all runs
        :param dag: whose run it is, so that no other DAG's run of the same id shares the directory;
            empty for whichever run has its name
        :param path: the directory itself, if it is known
        """
        self.run_id = run_id
        self.clock = clock
        self.dag = dag
        runs = folder or runs_folder()
        self._open(path or run_folder(runs, run_id, dag))
        if dag:
            with suppress(RunNotIdentified):
                self.identity()
            # Another run may have been faster.
            self._open(run_folder(runs, run_id, dag))

    @classmethod
    def existing(cls, run_id: str, token: str = "") -> RunDirectory | None:
        """Return the directory of an earlier run, or None if it left none on this machine."""
        path = find_folder(runs_folder(), run_id, token)
        return cls(run_id, path=path) if path else None

    @staticmethod
    def identities() -> list[RunIdentity]:
        """Return who the runs are whose directories are on this machine and can be read."""
        found = []
        for path in sorted(runs_folder().glob("*")):
            with suppress(OSError):  # a file, or what is not ours to read
                found.append(read_identity(path))
        return [identity for identity in found if identity is not None]

    def _open(self, path: Path) -> None:
        self.path = path
        self._log = EventLog(path / EVENTS)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            # A teardown has more to do than to write that down.
            log.error("There is no folder for the record of run %s: %s", self.run_id, error)

    def identity(self) -> RunIdentity:
        """Return who this run is among all; RunNotIdentified if that cannot be kept."""
        try:
            return read_identity(self.path) or claim(self.path, self.run_id, self.dag)
        except OSError as error:
            raise RunNotIdentified(
                f"{self.path / IDENTITY} cannot be written or read ({error.strerror}), so no "
                "other task would know this run's lock for its own. Nothing was done. Next: make "
                "that folder writable (is its disk full?), then clear this task"
            ) from error

    @property
    def load(self) -> Path:
        """Return the directory in which the load writes."""
        return self.path / "load"

    def record(self, event: Event) -> bool:
        """Append an event with the time, see EventLog.append."""
        return self._log.append(replace(event, t=round(self.clock.now(), 3)))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time into a block: tasks of one run are cleared together.

        A folder that cannot be written lets everybody in: a run has to end on a full disk, too.
        """
        with ExitStack() as held:
            try:
                stream = held.enter_context((self.path / "alone.lock").open("a"))
                fcntl.flock(stream, fcntl.LOCK_EX)
            except OSError as error:
                log.error("Other tasks of this run may work at the same time: %s", error)
            yield

    def all_events(self) -> list[Event]:
        """Return the events in the order they happened; RecordUnreadable for another version's.

        Lines that were cut off are no events; the last events say how many there are, and how many
        are lost so far.
        """
        lines, cut_off = self._log.read()
        events = [read_event(data) for data in lines]
        last = events[-1].t if events else 0.0
        missing = {CUT_OFF: cut_off, LOST: self.unwritten()}
        events += [Unwritten(t=last, count=count, reason=why) for why, count in missing.items()
                   if count]  # fmt: skip
        return events

    def unwritten(self) -> int:
        """Return how many events are lost that the record does not say yet."""
        return self._log.lost()

    def events(self, kind: type[Kind]) -> list[Kind]:
        """Return the events of one kind, as `all_events` does."""
        lines, _cut_off = self._log.read()
        found = [read_event(data) for data in lines if data["kind"] == kind.kind]
        return of_kind(found, kind)

    def last(self, kind: type[Kind]) -> Kind | None:
        """Return the newest event of a kind."""
        return last_of(self.events(kind), kind)

    def samples(self) -> tuple[list[Sample], list[str]]:
        """Return what the load's sessions measured, each without its end, and why others lack."""
        found: list[Sample] = []
        lacking: list[str] = []
        for folder in sorted(self.load.glob("*"), key=lambda path: int(path.name)):
            path = folder / "samples.jsonl"
            try:
                found += under_load(parse_samples(path.read_text(), str(path)))
            except FileNotFoundError:
                continue
            except (OSError, SampleError) as error:
                lacking.append(
                    f"the load of session {folder.name} is missing in this report: {error}"
                )
        return found, lacking

    def write_json(self, name: str, data: Mapping[str, Any]) -> Path:
        """Write data as JSON, see `write_text`."""
        return self.write_text(name, json.dumps(data, indent=1, sort_keys=True))

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of this run in one step, so that no reader sees half of it."""
        path = self.path / name
        with whole_file(path, 0o666) as stream:
            stream.write(text.encode())
        return path


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
            if events and isinstance(events[0], Unwritten):
                raise ValueError("nothing of it can be read")
        except (OSError, ValueError, KeyError, TypeError):
            unreadable.append(path.parent.name)
            continue
        if run is not None:
            found.append((events[0].t, run))
    return [run for _, run in sorted(found, key=lambda each: each[0])], unreadable
