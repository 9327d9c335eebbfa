"""Summarise a run from its events and samples: the one document the report is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from keystone_rollout.domain.load.acknowledged_writes import AcknowledgedWrites
from keystone_rollout.domain.load.samples import Sample, merge
from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.recovery.restore import restore_section
from keystone_rollout.domain.run.events import (
    VERSION,
    BackupTaken,
    BaselineMeasured,
    DagNamed,
    Delivery,
    Event,
    Judged,
    LeftBehind,
    LockChanged,
    LockState,
    LocksWatched,
    Look,
    NodeChanged,
    Noted,
    Notified,
    Planned,
    RecordUnreadable,
    RestoreChanged,
    Resumed,
    Returned,
    StepChanged,
    StepState,
    Unwritten,
    VariableChanged,
    VersionsRead,
    Work,
    WritesChecked,
    last_of,
    of_kind,
    undisturbed,
)
from keystone_rollout.domain.verdict import Verdict

OUT_OF_ROTATION = (NodeState.DRAIN, NodeState.MAINT)
IN_ROTATION = (NodeState.UP, NodeState.DONE)


@dataclass(frozen=True)
class Point:
    """One second of the load; latencies in milliseconds, None if nothing was measured."""

    t: float
    requests: int
    failures: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True)
class LoadSummary:
    """The load of all sessions; seconds and milliseconds, None for what was not measured."""

    requests: int = 0
    failures: int = 0
    failures_by_name: Mapping[str, int] = field(default_factory=dict)
    longest_gap: float = 0.0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    baseline_p99: float | None = None
    """Of the undisturbed cloud."""
    seconds: int = 0
    series: Sequence[Point] = ()
    measured_again: Sequence[BaselineMeasured] = ()
    """The baselines of sessions that a resumed run began in mid-upgrade."""


@dataclass(frozen=True)
class Finding(Verdict):
    """A verdict with the look that asked for it, and when."""

    gate: str = ""
    look: Look = Look.BOUNDARY
    t: float = 0.0


@dataclass(frozen=True)
class StepTaken:
    """A step with its beginning and end; one without an end was cut off."""

    name: str
    work: Work
    began: float
    ended: float | None = None
    state: StepState = StepState.STARTED
    reason: str = ""
    gated: bool = False

    @property
    def finished(self) -> bool:
        """Tell whether it went through."""
        return self.state is StepState.FINISHED

    @property
    def failed(self) -> bool:
        """Tell whether it says why it did not go through."""
        return self.state is StepState.FAILED


@dataclass(frozen=True)
class NodeTaken:
    """The outcome of one node; ``since`` is when it left rotation, unless it was returned."""

    out_of_rotation: float = 0.0
    since: float | None = None
    state: NodeState = NodeState.NOTE
    history: Sequence[NodeChanged] = ()


@dataclass(frozen=True)
class Deviation:
    """What did not go the plain way, though it may have ended well."""

    t: float
    text: str


@dataclass(frozen=True)
class RunRecord:
    """Everything that a report says of a run. Times are epoch seconds, latencies milliseconds.

    ``state`` is "succeeded", "failed", "interrupted" or "waiting", as the caller knows it.
    """

    run_id: str
    dag: str
    state: str
    began: float | None = None
    ended: float | None = None
    plan: Planned | None = None
    load: LoadSummary = field(default_factory=LoadSummary)
    verdicts: Sequence[Finding] = ()
    steps: Sequence[StepTaken] = ()
    nodes: Mapping[str, NodeTaken] = field(default_factory=dict)
    versions: Sequence[VersionsRead] = ()
    lock_waits: Sequence[LocksWatched] = ()
    variable: Sequence[VariableChanged] = ()
    backup: BackupTaken | None = None
    writes: WritesChecked | None = None
    deviations: Sequence[Deviation] = ()
    left_behind: Sequence[str] = ()
    restore: RestoreChanged | None = None
    failed_tasks: Sequence[str] = ()
    version: int = VERSION

    @property
    def violated(self) -> list[Finding]:
        """Return the verdicts that are not ok, in the order they were found."""
        return [verdict for verdict in self.verdicts if not verdict.ok]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for report.json."""
        data: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return {**data, "violated": [each for each in data["verdicts"] if not each["ok"]]}


_ADAPTER = TypeAdapter(RunRecord)


def read_record(data: object) -> RunRecord:
    """Return the record of a report.json; RecordUnreadable for one of another version."""
    version = data.get("version", 1) if isinstance(data, dict) else "unknown"
    if version != VERSION:
        raise RecordUnreadable(
            f"this report was written by another version of this project: record version "
            f"{version}, this one reads {VERSION}"
        )
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordUnreadable(
            f"report: {'.'.join(str(each) for each in first['loc'])}: {first['msg']}"
        ) from error


def build_record(
    run_id: str,
    events: Sequence[Event],
    samples: Sequence[Sample],
    state: str,
    failed_tasks: Sequence[str] = (),
) -> RunRecord:
    """Return the record of a run."""
    dag = last_of(events, DagNamed)
    return RunRecord(
        run_id=run_id,
        dag=dag.dag if dag else "keystone_upgrade",
        state=state,
        began=events[0].t if events else None,
        ended=events[-1].t if events else None,
        plan=last_of(events, Planned),
        load=_load(events, samples),
        verdicts=[
            Finding(**vars(verdict), gate=event.gate, look=event.look, t=event.t)
            for event in of_kind(events, Judged)
            for verdict in event.verdicts
        ],
        steps=_steps(of_kind(events, StepChanged)),
        nodes=_nodes(of_kind(events, NodeChanged)),
        versions=of_kind(events, VersionsRead),
        lock_waits=of_kind(events, LocksWatched),
        variable=of_kind(events, VariableChanged),
        backup=last_of(events, BackupTaken),
        writes=_writes(of_kind(events, WritesChecked)),
        deviations=list(_deviations(events)),
        left_behind=[event.text for event in of_kind(events, LeftBehind)],
        restore=restore_section(of_kind(events, RestoreChanged)),
        failed_tasks=list(failed_tasks),
    )


def _load(events: Iterable[Event], samples: Sequence[Sample]) -> LoadSummary:
    session, baselines = merge(samples), of_kind(events, BaselineMeasured)
    baseline = undisturbed(baselines)
    p50, p95, p99 = (session.percentile(p) if session.timed else None for p in (50, 95, 99))
    return LoadSummary(
        requests=session.requests,
        failures=session.failures,
        failures_by_name=session.failures_by_name,
        longest_gap=session.longest_gap,
        p50=p50,
        p95=p95,
        p99=p99,
        baseline_p99=baseline.p99 if baseline else None,
        seconds=len(samples),
        series=[_point(sample) for sample in samples],
        measured_again=[each for each in baselines if each.mid_upgrade],
    )


def _point(sample: Sample) -> Point:
    window = merge([sample])
    p50, p95, p99 = (window.percentile(p) if window.timed else None for p in (50, 95, 99))
    return Point(sample.t, sample.requests, sample.failures, p50, p95, p99)


def _writes(events: Iterable[WritesChecked]) -> WritesChecked | None:
    """Add up the checked writes of every load session; None if nobody looked."""
    total: WritesChecked | None = None
    for event in {event.session: event for event in events}.values():
        total = _added(total, event) if total else event
    return total


def _added(one: WritesChecked, other: WritesChecked) -> WritesChecked:
    names = [each.name for each in fields(AcknowledgedWrites)]
    return replace(other, **{name: getattr(one, name) + getattr(other, name) for name in names})


def _deviations(events: Iterable[Event]) -> Iterable[Deviation]:
    for event in events:
        text = ""
        if isinstance(event, Returned | Noted):
            text = event.text
        elif isinstance(event, NodeChanged) and event.state is NodeState.NOTE:
            text = f"{event.node}: {event.text}"
        elif isinstance(event, Notified) and event.state is Delivery.FAILED:
            text = (
                f"notification '{event.happening}' by {event.via} (connection "
                f"{event.connection}) could not be delivered: {event.error}; the run went on"
            )
        elif isinstance(event, LockChanged) and event.state is LockState.BROKEN:
            text = f"the lock of run {event.of} was broken: {'; '.join(event.done)}"
        elif isinstance(event, Resumed):
            text = (
                f"resumed {event.step}: what a teardown had ended was taken up again "
                f"({', '.join(event.what)})"
            )
        elif isinstance(event, Unwritten):
            text = f"{event.count} event(s) are missing in this record: {event.reason}"
        if text:
            yield Deviation(event.t, text)


def _steps(events: Iterable[StepChanged]) -> list[StepTaken]:
    steps: list[StepTaken] = []
    for event in events:
        if event.state is StepState.STARTED:
            steps.append(StepTaken(event.step, event.work, event.t))
            continue
        for place in reversed(range(len(steps))):
            step = steps[place]
            if step.name == event.step and step.ended is None:
                steps[place] = replace(step, state=event.state, ended=event.t,
                                       reason=event.reason, gated=event.gated)  # fmt: skip
                break
    return steps


def _nodes(events: Iterable[NodeChanged]) -> dict[str, NodeTaken]:
    nodes: dict[str, NodeTaken] = {}
    for event in events:
        node = nodes.get(event.node, NodeTaken())
        out, since = node.out_of_rotation, node.since
        if event.state in OUT_OF_ROTATION and since is None:
            since = event.t
        elif event.state in IN_ROTATION and since is not None:
            out, since = out + event.t - since, None
        nodes[event.node] = NodeTaken(out, since, event.state, [*node.history, event])
    return nodes
