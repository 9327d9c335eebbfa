"""Make run records as real runs leave them: one that went well, and ones that did not.

Events have the very fields that the operators record; the record is built by the product's own
build_record, so that an example cannot drift away from what a report really gets.
"""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from keystone_rollout.domain.load.samples import Sample, merge, response_time_bucket
from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.node.release_report import NodeReport, RunningRelease
from keystone_rollout.domain.run.events import (
    BackupTaken,
    BaselineMeasured,
    DagNamed,
    Event,
    Judged,
    LoadStarted,
    LoadStopped,
    LocksWatched,
    Look,
    Planned,
    RestoreChanged,
    RestoreOutcome,
    StepChanged,
    StepState,
    VariableChanged,
    VersionsRead,
    Work,
    WritesChecked,
    node_changed,
)
from keystone_rollout.domain.run.record import build_record, read_record
from keystone_rollout.domain.schema.difference import Difference, TableDifference
from keystone_rollout.domain.schema.versions import REPOSITORIES, RecordedVersions
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.procedures.run.report import render_report
from keystone_rollout.views.report.view import build_view

BEGAN = 1772359200.0  # 2026-03-01 10:00:00 UTC
SOURCE, TARGET = "12.0.3", "13.0.4"
PIKE = RecordedVersions(dict.fromkeys(REPOSITORIES.values(), 24))
NODES = ["keystone-1", "keystone-2", "keystone-3"]
STOPS = "the upgrade stops before the next step"


def told_once(tell: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Build a record once, and hand out copies that a test may change."""
    built = functools.cache(tell)
    return functools.wraps(tell)(lambda: copy.deepcopy(built()))


def view(record: dict[str, Any]) -> dict[str, Any]:
    """Return the report's view of a record."""
    return build_view(read_record(record))


def page(record: dict[str, Any]) -> str:
    """Return the report's page of a record."""
    return render_report(read_record(record))


def violated(record: dict[str, Any]) -> dict[str, Any]:
    """Return the first verdict of a record that is not ok, to be changed."""
    return next(each for each in record["verdicts"] if not each["ok"])


def running(release: str) -> NodeReport:
    """Return what a node says that runs a release."""
    return NodeReport(RunningRelease(release, running=True))


CREATORS = "log_bin_trust_function_creators"


class Closed(RuntimeError):
    """Stand for a gate that is closed."""


class Story:
    """Tell a run's events along a clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.t = BEGAN
        self.events: list[Event] = []
        self.load_began: float | None = None
        self.load_ended: float | None = None
        self.slow: list[tuple[float, float, float]] = []
        self.broken: list[tuple[float, float, str]] = []

    def record(self, event: Event) -> None:
        self.events.append(replace(event, t=round(self.t, 3)))

    @contextmanager
    def step(self, name: str, seconds: float, factor: float = 1.0) -> Iterator[None]:
        """Record a step around a block; the load is slower by a factor meanwhile."""
        began = self.t
        work = Work.NODE if name in NODES else Work.STEP
        work = Work.STAGE if name.startswith("stage ") else work
        started = StepChanged(step=name, state=StepState.STARTED, work=work)
        self.record(started)
        try:
            yield
        except RuntimeError as error:
            self.t += seconds
            gated = isinstance(error, Closed)
            self.record(replace(started, state=StepState.FAILED, reason=str(error), gated=gated))
            raise
        self.t += seconds
        self.slow.append((began, self.t, factor))
        self.record(replace(started, state=StepState.FINISHED))

    def gate(self, name: str, verdicts: list[Verdict], look: Look = Look.BOUNDARY) -> None:
        self.record(Judged(gate=name, verdicts=verdicts, look=look))

    def note(self, node: str, state: str, text: str, seconds: float) -> None:
        self.record(node_changed(node, NodeState(state), text))
        self.t += seconds

    # The load

    def samples(self) -> list[Sample]:
        """Return one sample a second, slower and failing where the story says so."""
        if self.load_began is None:
            return []
        chance = random.Random(7)
        end = int(self.load_ended or self.t)
        return [self._sample(t, chance) for t in range(int(self.load_began), end)]

    def _sample(self, t: int, chance: random.Random) -> Sample:
        since = t - int(self.load_began or t)
        factor = max([f for begin, end, f in self.slow if begin <= t < end], default=1.0)
        name = next((n for begin, end, n in self.broken if begin <= t < end), None)
        requests = max(0, round(min(since / 4, 1) * chance.gauss(60, 5) / factor**0.15))
        buckets: dict[float, int] = {}
        for _request in range(requests):
            value = chance.lognormvariate(3.1, 0.42) * factor
            bucket = response_time_bucket(value * (6 if chance.random() < 0.012 else 1))
            buckets[bucket] = buckets.get(bucket, 0) + 1
        failures = min(requests, chance.randint(1, 4)) if name else 0
        return Sample(
            t=t,
            requests=requests,
            failures=failures,
            users=min(20, since * 5),
            last_success=t + 0.98 if requests > failures else None,
            longest_gap=round(chance.uniform(0.02, 0.09) * factor, 3),
            ms=buckets,
            by_name={
                "issue_token": (requests // 3, 0),
                "validate_token": (requests - requests // 3, failures),
            },
        )

    def judged(self, gate: str, look: Look = Look.BOUNDARY) -> list[Verdict]:
        """Record what a gate says about the load so far; return what it found violated."""
        session = merge([sample for sample in self.samples() if sample.t < self.t])
        p99 = merge([s for s in self.samples() if self.t - 15 <= s.t < self.t]).percentile(99)
        by_name = ", ".join(f"{name} {n}" for name, n in session.failures_by_name.items())
        verdicts = [
            Verdict(True, "load process", "locust", "runs (process 4711)", "runs", STOPS, ""),
            Verdict(
                True, "load alive", "locust", "newest sample is 0.8 s old", "at most 10 s",
                f"nobody watches the cloud, so {STOPS}", "read locust.log of this run",
            ),
            Verdict(
                not session.failures, "load failures", "locust",
                f"{session.failures} failed of {session.requests} requests"
                + (f" ({by_name})" if by_name else ""),
                "0", STOPS,
                "open the page of link Load at task load.start_load, or failures.jsonl of this "
                "run: each line has the time and the error",
            ),
            Verdict(True, "load traffic", "locust", f"{session.rate * 15:.0f} requests in 15 s "
                    f"({session.rate:.1f}/s)", "at least 270 (30% of 60/s)", STOPS, ""),
            Verdict(True, "load gap", "locust", f"{session.longest_gap:.1f} s without a successful "
                    "request", "at most 10 s", STOPS, ""),
            Verdict(True, "load p99", "locust", f"{p99 or 0:g} ms of 890 requests (baseline 140 "
                    "ms)", "1000 ms (4 x baseline, at least 1000 ms)", STOPS, ""),
        ]  # fmt: skip
        self.gate(gate, verdicts, look)
        return [verdict for verdict in verdicts if not verdict.ok]

    def end(self, state: str, failed_tasks: list[str]) -> dict[str, Any]:
        record = build_record(
            "manual__2026-03-01T10:00:00+00:00", self.events, self.samples(), state, failed_tasks
        )
        return record.to_dict()


def _variable_verdict(value: str = "1") -> Verdict:
    return Verdict(
        value == "1", "log_bin_trust_function_creators", "database:3306", value,
        "1 from before expand until after contract",
        "a migration that makes a trigger would stop half-way with error 1419, so the run stops "
        "before its next step",
        "find out who set it back, then start the upgrade again: it sets it to 1",
    )  # fmt: skip


def _preflight(tell: Story, broken: Verdict | None = None) -> None:
    verdicts = []
    for node in NODES:
        verdicts += [
            Verdict(True, "release", node, f"{SOURCE} running", f"{SOURCE} or {TARGET} running"),
            Verdict(
                True, "sudo", node, "all 17 commands allowed", "every command without password"
            ),
            Verdict(True, "capacity", f"haproxy/{node}", "ready/UP", "ready/UP"),
        ]
    verdicts += [
        Verdict(True, "level", "haproxy", "admin", "admin"),
        Verdict(True, "privileges", "lab_database_keystone", "complete", "SELECT, ALTER, TRIGGER"),
        Verdict(True, "SET GLOBAL", "lab_database_admin", "allowed", "SUPER or BINLOG ADMIN"),
        Verdict(True, "image", f"keystone-rollout/upgrade:{TARGET}", TARGET, TARGET),
        Verdict(True, "free space", "/srv/backups", "20480 MiB", "at least 1030 MiB"),
        Verdict(
            True, "fernet keys", "/etc/keystone/fernet-keys",
            ", ".join(f"{node} 5b3c9ad11f00" for node in NODES), "the same keys on every node",
        ),
    ]  # fmt: skip
    if broken is not None:
        verdicts = [
            broken if (each.check, each.object) == (broken.check, broken.object) else each
            for each in verdicts
        ]
    tell.gate("preflight", verdicts, Look.PREFLIGHT)
    violated = [str(each) for each in verdicts if not each.ok]
    if violated:
        raise Closed(f"gate 'preflight' is closed, {len(violated)} checks failed:\n- ...")


def _plan(tell: Story) -> None:
    with tell.step("plan", 6):
        tell.record(Planned(cloud="lab", source=SOURCE, target=TARGET,
            image=f"keystone-rollout/upgrade:{TARGET}",
            digest="sha256:28184085ec09d3f5a1c04a6d1be1f3a5c9b9d1f7a3b0d6e8f4c2a1b3d5e7f901",
            heads={"expand": "44", "migrate": "44", "contract": "44"},
            state={"expand": "24", "migrate": "24", "contract": "24"},
            nodes=dict.fromkeys(NODES, running(SOURCE)),
            schema_bytes=9_400_000,
        ))  # fmt: skip


def _until_the_nodes(tell: Story) -> None:
    with tell.step("preflight", 8.4):
        _preflight(tell)
    with tell.step("backup_database", 6.7):
        tell.record(BackupTaken(path="/srv/backups/manual__2026-03-01.sql", bytes=7_654_321))
        tell.gate("backup", [Verdict(True, "backup", "manual__2026-03-01.sql",
                  "44 tables with 9120 rows restored, 42 identical to the live ones, 2 written to "
                  "meanwhile", "every table restored, unchanged ones identical")],
                  Look.BACKUP)  # fmt: skip
    tell.load_began = tell.t + 3
    with tell.step("start_load", 8.2):
        tell.record(LoadStarted(session=1))
    with tell.step("measure_baseline", 20.1):
        pass
    tell.record(BaselineMeasured(session=1, start=tell.t - 20, end=tell.t, p99=140.0, p50=22.0,
                rate=59.6, requests=1192))  # fmt: skip
    tell.gate("baseline", [Verdict(True, "load baseline", "locust", "0 failed of 1192 requests in "
              "20 s", "at least 100 requests, 0 failed")])  # fmt: skip
    with tell.step("set_function_creators", 0.4):
        tell.record(VariableChanged(name=CREATORS, value="1", original="0"))
    with tell.step("list_nodes", 0.1):
        pass
    for node in NODES:
        tell.judged(f"before staging {node}")
        with tell.step(f"stage {node}", 4.6):
            pass
    for name, seconds in (("doctor", 3.1), ("token_flush", 2.9)):
        tell.judged(f"before {name}")
        with tell.step(name, seconds):
            pass
    _phase(tell, "expand", {"expand": "44", "migrate": "24", "contract": "24"})
    _phase(tell, "migrate", {"expand": "44", "migrate": "44", "contract": "24"})


def _phase(tell: Story, phase: str, versions: dict[str, str]) -> None:
    tell.judged(f"before {phase}")
    tell.gate(f"before {phase}", [_variable_verdict()])
    with tell.step(phase, 4.2, factor=3.5):
        waited = phase == "expand"
        tell.record(LocksWatched(phase=phase, polls=9, most_waiting=4 if waited else 0,
            longest_seconds=1.2 if waited else 0.0,
            statements=["ALTER TABLE trust ADD expires_at_int BIGINT"] if waited else [],
        ))  # fmt: skip
    tell.gate(f"after {phase}", [Verdict(
        True, "metadata locks", phase,
        f"longest wait {1.2 if waited else 0.0} s, {4 if waited else 0} at once, 9 polls",
        "at most 7 s: lock_wait_timeout 5 s + 2 s",
    )])  # fmt: skip
    tell.record(VersionsRead(after=phase, versions=versions, triggers=0))
    tell.t += 10.4


def _node(tell: Story, name: str, seconds: float = 14) -> None:
    tell.judged(f"before {name}")
    with tell.step(name, 0.2, factor=1.9):
        tell.note(name, "found", f"{SOURCE} running", 0.6)
        tell.note(name, "drain", "no new requests", 1.8)
        tell.note(name, "maint", "0 sessions, out of rotation", 0.5)
        tell.note(name, "stopped", "service stopped", seconds * 0.5)
        tell.note(name, "installed", TARGET, 0.6)
        tell.note(name, "started", TARGET, seconds * 0.25)
        tell.note(name, "proved", "token issued here and validated elsewhere", 0.4)
        tell.t += 3.5
        tell.note(name, "up", "ready and UP, stable", 0.1)


def _stop(tell: Story, restored: bool = True) -> None:
    if restored:
        with tell.step("restore_function_creators", 0.4):
            tell.record(VariableChanged(name=CREATORS, value="0", original="0"))
    tell.load_ended = tell.t + 1
    with tell.step("stop_load", 2.2):
        tell.record(LoadStopped(session=1, how="SIGINT after 214 s"))


@told_once
def succeeded() -> dict[str, Any]:
    """Return the record of a rehearsal in which nobody noticed anything."""
    tell = Story()
    _plan(tell)
    _until_the_nodes(tell)
    for name, seconds in zip(NODES, (15.2, 12.4, 13.1), strict=True):
        _node(tell, name, seconds)
    tell.judged("before verifying nodes")
    with tell.step("verify_nodes", 4.8):
        verdicts = [Verdict(True, "release", node, f"{TARGET} running", f"{TARGET} running")
                    for node in NODES]  # fmt: skip
        tell.gate("all nodes", verdicts)
    _phase(tell, "contract", {"expand": "44", "migrate": "44", "contract": "44"})
    tell.judged("end")
    with tell.step("judge_load", 16.0):
        tell.gate("end", [Verdict(True, "load requests", "locust", "11840 requests in 204 s",
                                  "at least 5000")])  # fmt: skip
    tell.load_ended = tell.t + 1
    with tell.step("check_acknowledged_writes", 9.5):
        tell.record(WritesChecked(
            session=1, created=412, deleted=187, authenticated=225,
        ))  # fmt: skip
        tell.gate("acknowledged writes", [Verdict(True, "acknowledged writes", "keystone",
                  "412 users created, 187 deleted, 225 looked up and logged in",
                  "all of them there, at least 1 created")])  # fmt: skip
    _stop(tell)
    return tell.end("succeeded", [])


@told_once
def failed() -> dict[str, Any]:
    """Return the record of a run whose second node went back, with failures in the load."""
    tell = Story()
    _plan(tell)
    _until_the_nodes(tell)
    _node(tell, "keystone-1", 15.2)
    tell.judged("before keystone-2")
    reason = (
        "keystone-2 could not be taken to 13.0.4: keystone-2: step start ended with exit status 1, "
        "allowed is 0. It printed: uwsgi: bind(): Address already in use. keystone-2 is rolled "
        "back to 12.0.3, ready and UP; no further node is started. Remove the cause, then "
        "clear this task"
    )
    tell.broken.append((tell.t + 5, tell.t + 9, "validate_token"))
    try:
        with tell.step("keystone-2", 0.2, factor=2.2):
            tell.note("keystone-2", "found", f"{SOURCE} running", 0.6)
            tell.note("keystone-2", "drain", "no new requests", 1.8)
            tell.note("keystone-2", "maint", "0 sessions, out of rotation", 0.5)
            tell.note("keystone-2", "stopped", "service stopped", 6.5)
            tell.note("keystone-2", "installed", TARGET, 0.6)
            tell.note("keystone-2", "going back", "step start ended with exit status 1", 0.4)
            tell.note("keystone-2", "stopped", "service stopped", 6.5)
            tell.note("keystone-2", "installed", SOURCE, 0.6)
            tell.note("keystone-2", "started", SOURCE, 4.0)
            tell.note("keystone-2", "proved", "token issued here and validated elsewhere", 3.9)
            tell.note("keystone-2", "up", "ready and UP, stable", 0.1)
            raise RuntimeError(reason)
    except RuntimeError:
        pass
    for _look in range(3):
        tell.judged("watch", Look.WATCH)
        tell.t += 4
    _stop(tell)
    return tell.end("failed", ["load.watch_load", "nodes.upgrade_node", "nodes.verify_nodes"])


@told_once
def failed_in_preflight() -> dict[str, Any]:
    """Return the record of a run that found something wrong before it touched anything."""
    tell = Story()
    _plan(tell)
    broken = Verdict(
        False, "sudo", "keystone-2",
        "2 of 17 not allowed: /usr/bin/dpkg --configure -a; "
        "/usr/bin/tee /etc/apt/sources.list.d/keystone.list",
        "every command of the node's steps without password", "nothing was touched",
        "`make sudoers CLOUD=lab` prints the sudoers file that keystone-2 needs for the user of "
        "connection lab_keystone_2",
    )  # fmt: skip
    try:
        with tell.step("preflight", 8.4):
            _preflight(tell, broken)
    except RuntimeError:
        pass
    return tell.end("failed", ["preflight", "load.start_load"])


@told_once
def failed_at_once() -> dict[str, Any]:
    """Return the record of a run that could not even read its cloud file."""
    return Story().end("failed", ["plan"])


RESTORED_BACKUP = "manual__2026-03-01T08_00_00_00_00.sql"
LOST = (
    TableDifference("local_user", lost=1210, returning=12),
    TableDifference("password", lost=1210, returning=12, changed=35),
    TableDifference("nonlocal_user"),
    TableDifference("whitelisted_config", lost=2, by_key=False),
)


def _plan_restore(tell: Story) -> None:
    tell.record(DagNamed(dag="keystone_restore"))
    with tell.step("plan_restore", 4.1):
        tell.record(Planned(cloud="lab", source=SOURCE, target=TARGET,
            state={"expand": "44", "migrate": "44", "contract": "44"},
            nodes=dict.fromkeys(NODES, running(TARGET)),
        ))  # fmt: skip
        tell.record(RestoreChanged(backup=RESTORED_BACKUP, taken=BEGAN - 7500, age_seconds=7500.0))
        tell.gate("preflight", [Verdict(True, "backup file", RESTORED_BACKUP,
                  "complete, 7654321 bytes", "one schema, complete, readable")],
                  Look.PREFLIGHT)  # fmt: skip
        tell.record(RestoreChanged(swap_needed=True, planned=Difference(LOST[:2]), hint="",
            last_downtime=None, backup_versions=PIKE,
            reasons=["schema at 44/44/44, backup at 24/24/24"],
        ))  # fmt: skip


@told_once
def restore_refused() -> dict[str, Any]:
    """Return the record of a restore that nobody confirmed."""
    tell = Story()
    _plan_restore(tell)
    try:
        with tell.step("confirm_restore", 0.1):
            raise RuntimeError("param confirm is empty. Nothing was touched. ...")
    except RuntimeError:
        pass
    return tell.end("failed", ["confirm_restore"])


@told_once
def restored() -> dict[str, Any]:
    """Return the record of a restore that went through."""
    tell = Story()
    _plan_restore(tell)
    began, replaced = tell.t, "keystone_rollout_replaced_20260301T100004"
    with tell.step("stop_keystone", 3.0):
        tell.record(RestoreChanged(began=began, replaced=replaced))
        for state in ("drain", "maint", "stopped"):
            for node in NODES:
                tell.note(node, state, state, 0.3)
    with tell.step("swap_schemas", 1.2):
        tell.record(RestoreChanged(swapped=tell.t, lost=Difference(LOST), replaced=replaced))
        tell.record(VersionsRead(after="restore", triggers=0,
                    versions=PIKE.by_phase()))  # fmt: skip
    with tell.step("restore_nodes", 3.0):
        for state, text in (("installed", SOURCE), ("started", SOURCE), ("proved", "tokens")):
            for node in NODES:
                tell.note(node, state, text, 4.0)
        for node in NODES:
            tell.note(node, "up", "ready and UP", 1.0)
        tell.record(RestoreChanged(began=began, served=tell.t - 3, ended=tell.t))
    with tell.step("verify_restore", 2.5):
        tell.gate("restored", [Verdict(True, "release", node, f"{SOURCE} running",
                                       f"{SOURCE} running") for node in NODES])  # fmt: skip
        tell.record(RestoreChanged(outcome=RestoreOutcome.RESTORED))
    return tell.end("succeeded", [])


@told_once
def without_load() -> dict[str, Any]:
    """Return the record of a run that ended well, but during which nobody looked."""
    tell = Story()
    _plan(tell)
    for name in NODES:
        tell.note(name, "found", f"{TARGET} running", 1)
        tell.note(name, "done", f"already serves {TARGET}", 1)
    return tell.end("succeeded", [])
