"""What a run records of itself: one frozen dataclass for each kind of event.

The run's folder appends them and reads them back by their type; views turn them into words. What
a person reads in an event (`text`, `reason`, `gate`, and a verdict's `check` and `measured`) means
nothing to the code: every fact that decides something has a field of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from pydantic import TypeAdapter, ValidationError

from keystone_rollout.domain.cloud.notifications import Happening, Way
from keystone_rollout.domain.load.acknowledged_writes import AcknowledgedWrites
from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.node.release_report import NodeReport
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.domain.schema.forecast import PhaseForecast
from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.domain.verdict import Verdict

VERSION = 3
"""Of the record: 1 was written before a record said its version."""


class RecordUnreadable(ValueError):
    """A record of another version, or one that something else has written into."""


class StepState(StrEnum):
    """How far a step has come."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"


class Work(StrEnum):
    """What kind of step it is: those of nodes are many, and count as one kind."""

    STEP = "step"
    STAGE = "stage packages"
    NODE = "upgrade node"
    RESUME = "resume"


class Look(StrEnum):
    """The occasion on which verdicts were asked for."""

    PREFLIGHT = "preflight"
    BACKUP = "backup"
    BOUNDARY = "boundary"
    """Between two steps: all since the boundary before is judged."""
    WATCH = "watch"
    """Beside the steps, again and again."""


class LockState(StrEnum):
    """What the run did with the cloud's lock."""

    TAKEN = "taken"
    BROKEN = "broken"
    RELEASED = "released"


class Delivery(StrEnum):
    """How a notification fared."""

    SENT = "sent"
    FAILED = "failed"


class RestoreOutcome(StrEnum):
    """How a restore ended."""

    RESTORED = "restored"
    PUT_BACK = "put back"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened; ``t`` in epoch seconds is filled in by whoever appends it."""

    kind: ClassVar[str]
    t: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, with the kind."""
        return {"kind": self.kind, **_ADAPTERS[self.kind].dump_python(self, mode="json")}


@dataclass(frozen=True, kw_only=True)
class Opened(Event):
    """The first line of every record."""

    kind = "record"
    version: int = VERSION


@dataclass(frozen=True, kw_only=True)
class DagNamed(Event):
    """The DAG whose run this is."""

    kind = "dag"
    dag: str


@dataclass(frozen=True, kw_only=True)
class Noted(Event):
    """Something that the report should say, though it may have ended well."""

    kind = "note"
    text: str


@dataclass(frozen=True, kw_only=True)
class Planned(Event):
    """Both sides of the hop, as they were found before anything was touched.

    ``state`` is where each phase stands, as `VersionsRead.versions`.
    """

    kind = "plan"
    cloud: str = ""
    source: str = ""
    target: str = ""
    image: str = ""
    digest: str = ""
    migrations: ImageMigrations | None = None
    heads: Mapping[str, str] = field(default_factory=dict)
    recorded: RecordedVersions | None = None
    state: Mapping[str, str] = field(default_factory=dict)
    phases: Sequence[PhaseForecast] = ()
    nodes: Mapping[str, NodeReport] = field(default_factory=dict)
    schema_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class PartPlanned(Event):
    """One part of a plan's page."""

    kind = "plan_part"
    part: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StepChanged(Event):
    """A step that began or ended; ``gated`` if it ended at a gate, whose verdicts say why."""

    kind = "step"
    step: str
    state: StepState
    work: Work = Work.STEP
    reason: str = ""
    gated: bool = False


@dataclass(frozen=True, kw_only=True)
class NodeChanged(Event):
    """A change of one node; ``release`` is what was installed on it, if that is the change."""

    kind = "node"
    node: str
    state: NodeState
    text: str
    release: str = ""


def node_changed(node: str, state: NodeState, text: str) -> NodeChanged:
    """Return a node's change as its cycle tells it: of an installation the text is the release."""
    release = text if state is NodeState.INSTALLED else ""
    return NodeChanged(node=node, state=state, text=text, release=release)


@dataclass(frozen=True, kw_only=True)
class Returned(Event):
    """A node that serves again after a run had left it out."""

    kind = "recovered"
    text: str


@dataclass(frozen=True, kw_only=True)
class TriedAgain(Event):
    """A try to end something of the run that failed, and was not the last."""

    kind = "tried_again"
    step: str
    tries: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class LockChanged(Event):
    """The cloud's lock; ``of`` is the run it was broken from, ``done`` what was cleaned up then."""

    kind = "lock"
    state: LockState
    of: str = ""
    done: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class VariableChanged(Event):
    """A global variable of the database server: its value now, and what it was before the run."""

    kind = "variable"
    name: str
    value: str
    original: str | None = None


@dataclass(frozen=True, kw_only=True)
class FindingsAccepted(Event):
    """What a check in the upgrade image found and the cloud file accepts."""

    kind = "doctor"  # the first such check, and for a while the only one
    check: str = "doctor"
    accepted: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Judged(Event):
    """The verdicts of one look."""

    kind = "gate"
    gate: str
    verdicts: Sequence[Verdict]
    look: Look = Look.BOUNDARY


@dataclass(frozen=True, kw_only=True)
class LoadStarted(Event):
    """A session of the load."""

    kind = "load_started"
    session: int


@dataclass(frozen=True, kw_only=True)
class LoadStopped(Event):
    """The end of a session: on purpose, unless its process had ``died`` before."""

    kind = "load_stopped"
    session: int
    how: str
    died: bool = False


@dataclass(frozen=True, kw_only=True)
class BaselineMeasured(Event):
    """What later windows are compared with; times in epoch seconds, latencies in milliseconds.

    It is the undisturbed cloud, unless ``step`` says where it was measured again, in mid-upgrade.
    """

    kind = "baseline"
    session: int
    start: float
    end: float
    p99: float | None = None
    p50: float | None = None
    rate: float = 0.0
    requests: int = 0
    step: str = ""

    @property
    def mid_upgrade(self) -> bool:
        """Tell whether something may have been changed before."""
        return bool(self.step)


@dataclass(frozen=True, kw_only=True)
class Resumed(Event):
    """What a cleared task takes up again before it goes on at ``step``: ``what`` names each."""

    kind = "resumed"
    step: str
    what: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class WritesChecked(Event, AcknowledgedWrites):
    """The acknowledged writes of one session, compared with Keystone."""

    kind = "writes"
    session: int


@dataclass(frozen=True, kw_only=True)
class LocksWatched(Event):
    """Who queued for metadata locks while a phase ran."""

    kind = "lock_waits"
    phase: str
    polls: int
    most_waiting: int
    longest_seconds: float
    statements: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class VersionsRead(Event):
    """Where the schema stands after a phase or a restore, see `RecordedVersions.by_phase`."""

    kind = "versions"
    after: str
    versions: Mapping[str, str]
    triggers: int
    did: str = ""


@dataclass(frozen=True, kw_only=True)
class BackupTaken(Event):
    """A dump; the look after it says whether it is good."""

    kind = "backup"
    path: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Notified(Event):
    """The outcome of one notification to one receiver."""

    kind = "notification"
    happening: Happening
    via: Way
    connection: str
    state: Delivery
    error: str = ""
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Reported(Event):
    """The report that was written at the run's end."""

    kind = "reported"
    state: str
    path: str


@dataclass(frozen=True, kw_only=True)
class LeftBehind(Event):
    """What a rollback does not take back."""

    kind = "left_behind"
    text: str


@dataclass(frozen=True, kw_only=True)
class RestoreChanged(Event):
    """What one step of a restore found or did; the newest value of each field counts.

    Times are epoch seconds: ``began`` is when the first server left, ``served`` when the first one
    served again, ``ended`` when all did.
    """

    kind = "restore"
    backup: str | None = None
    taken: float | None = None
    age_seconds: float | None = None
    backup_versions: RecordedVersions | None = None
    swap_needed: bool | None = None
    reasons: Sequence[str] | None = None
    planned: Difference | None = None
    last_downtime: Sequence[float] | None = None
    hint: str | None = None
    began: float | None = None
    served: float | None = None
    ended: float | None = None
    swapped: float | None = None
    lost: Difference | None = None
    replaced: str | None = None
    outcome: RestoreOutcome | None = None


@dataclass(frozen=True, kw_only=True)
class Rehearsed(Event):
    """The upgrade that a rehearsal has started."""

    kind = "rehearsed"
    upgrade: str


@dataclass(frozen=True, kw_only=True)
class Unwritten(Event):
    """Events that could not be written down, or not be read again, and why."""

    kind = "unwritten"
    count: int
    reason: str


KINDS: dict[str, type[Event]] = {each.kind: each for each in Event.__subclasses__()}
Kind = TypeVar("Kind", bound=Event)
_ADAPTERS = {name: TypeAdapter[Any](kind) for name, kind in KINDS.items()}


def read_event(data: Mapping[str, object]) -> Event:
    """Return an event from plain data; RecordUnreadable quotes other data."""
    kind = KINDS.get(str(data.get("kind")))
    if kind is None:
        raise RecordUnreadable(f"read kind {data.get('kind')!r}, allowed are {', '.join(KINDS)}")
    fields = {name: value for name, value in data.items() if name != "kind"}
    try:
        event: Event = _ADAPTERS[kind.kind].validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"])
        raise RecordUnreadable(f"event {kind.kind}: {place}: {first['msg']}") from error
    return event


def of_kind(events: Iterable[Event], kind: type[Kind]) -> list[Kind]:
    """Return the events of one kind, in their order."""
    return [event for event in events if isinstance(event, kind)]


def last_of(events: Iterable[Event], kind: type[Kind]) -> Kind | None:
    """Return the newest event of a kind."""
    return next(reversed(of_kind(events, kind)), None)


def undisturbed(baselines: Iterable[BaselineMeasured]) -> BaselineMeasured | None:
    """Return the newest baseline of the cloud as it was before anything changed."""
    return next(reversed([each for each in baselines if not each.mid_upgrade]), None)
