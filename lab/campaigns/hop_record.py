"""What is kept of one hop: a plain record, made from the run's report and from the lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from lab.campaigns.hop_list import ReleasePair
from lab.data.version_tables import VersionTables

State = Literal["green", "red", "not run"]
PHASES = ("expand", "migrate", "contract")


@dataclass(frozen=True)
class Side:
    """One end of a hop: the release, and the Python it ran on."""

    number: int
    codename: str
    version: str
    python: str


@dataclass(frozen=True)
class Ground:
    """On what the two releases ran."""

    source_python: str = ""
    target_python: str = ""
    suite: str = ""
    own_cache: bool = False


@dataclass(frozen=True)
class Schema:
    """Where the schema stood before and after, in the database's own tables."""

    tables_before: VersionTables = field(default_factory=dict)
    tables_after: VersionTables = field(default_factory=dict)
    triggers_before: int | None = None
    triggers_after: int | None = None


@dataclass(frozen=True)
class HopRecord:
    """One measured hop. Times are seconds, latencies milliseconds, None what was not measured.

    ``before``, ``heads`` and ``after`` are by phase; ``idle_phases`` are those for which
    keystone-manage was not run, because they had nothing to do. ``reason`` says why it is not
    green; ``lacks_sources`` that this machine has no archive of a release which no package index
    has. ``began`` and ``run`` are UTC times, ``run`` that of the command which measured it.
    """

    key: str
    title: str
    source: Side
    target: Side
    state: State
    reason: str
    began: str
    run: str
    lacks_sources: bool = False
    suite: str = ""
    own_cache: bool = False
    before: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    schema: Schema = field(default_factory=Schema)
    triggers_most: int | None = None
    idle_phases: list[str] = field(default_factory=list)
    requests: int = 0
    failures: int | None = None
    p99: float | None = None
    baseline_p99: float | None = None
    longest_gap: float | None = None
    out_of_rotation: dict[str, float] = field(default_factory=dict)
    lab_seconds: float | None = None
    upgrade_seconds: float | None = None
    run_id: str = ""

    @property
    def p99_ratio(self) -> float | None:
        """Return the p99 of the whole run in multiples of the baseline's."""
        return self.p99 / self.baseline_p99 if self.p99 and self.baseline_p99 else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "p99_ratio": self.p99_ratio}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> HopRecord:
        """Return the record that `to_dict` made; KeyError or TypeError where it did not."""
        known = {each.name: data[each.name] for each in fields(cls)}
        known["source"], known["target"] = Side(**data["source"]), Side(**data["target"])
        known["schema"] = Schema(**data["schema"])
        return cls(**known)


def measured(
    hop: ReleasePair,
    ground: Ground,
    report: Mapping[str, Any],
    failed_checks: Sequence[str],
    schema: Schema,
    *,
    began: str,
    run: str,
    lab_seconds: float,
    upgrade_seconds: float,
) -> HopRecord:
    """Return the record of a hop whose upgrade ran.

    :param report: the run's report.json; empty where it wrote none
    :param failed_checks: what the lab found wrong afterwards, whatever the report says
    """
    plan, load = report.get("plan") or {}, report.get("load") or {}
    versions = report.get("versions") or []
    counted = [each["triggers"] for each in versions if each.get("triggers") is not None]
    known = [each for each in (schema.triggers_before, schema.triggers_after) if each is not None]
    return HopRecord(
        **_identity(hop, ground),
        state="red" if failed_checks else "green",
        reason="; ".join([*failed_checks, *_why(report)]) if failed_checks else "",
        began=began,
        run=run,
        before=_texts(plan.get("state")),
        heads=_texts(plan.get("heads")),
        after=_texts(versions[-1]["versions"] if versions else None),
        schema=schema,
        triggers_most=max([*counted, *known], default=None),
        idle_phases=_idle(report),
        requests=int(load.get("requests") or 0),
        failures=load.get("failures"),
        p99=load.get("p99"),
        baseline_p99=load.get("baseline_p99"),
        longest_gap=load.get("longest_gap") if load.get("requests") else None,
        out_of_rotation={
            name: round(node["out_of_rotation"], 1)
            for name, node in sorted((report.get("nodes") or {}).items())
        },
        lab_seconds=round(lab_seconds, 1),
        upgrade_seconds=round(upgrade_seconds, 1),
        run_id=str(report.get("run_id", "")),
    )


def not_run(
    hop: ReleasePair,
    ground: Ground,
    reason: str,
    *,
    began: str,
    run: str,
    lacks_sources: bool = False,
) -> HopRecord:
    """Return the record of a hop that never began, with the evidence."""
    return HopRecord(
        **_identity(hop, ground),
        state="not run",
        reason=reason,
        began=began,
        run=run,
        lacks_sources=lacks_sources,
    )


def _identity(hop: ReleasePair, ground: Ground) -> dict[str, Any]:
    sides = {
        name: Side(series.number, series.codename, series.version, python)
        for name, series, python in (
            ("source", hop.source, ground.source_python),
            ("target", hop.target, ground.target_python),
        )
    }
    return {
        "key": hop.key,
        "title": hop.title,
        **sides,
        "suite": ground.suite,
        "own_cache": ground.own_cache,
    }


def _texts(versions: Mapping[str, Any] | None) -> dict[str, str]:
    """Return versions by phase as text; other fields than the three phases do not count."""
    found = versions or {}
    return {phase: str(found[phase]) for phase in PHASES if found.get(phase) not in (None, "")}


def _idle(report: Mapping[str, Any]) -> list[str]:
    """Return the phases that were passed without running keystone-manage."""
    ran = {step["name"] for step in report.get("steps") or []}
    passed = {each["after"] for each in report.get("versions") or []}
    return [phase for phase in PHASES if phase in passed and phase not in ran]


def _why(report: Mapping[str, Any]) -> list[str]:
    """Return the first step that failed and the first violated verdict, as the run says them."""
    steps = [each for each in report.get("steps") or [] if each["state"] == "failed"]
    found = [f"step {each['name']}: {each.get('reason', '')}" for each in steps[:1]]
    for verdict in (report.get("violated") or [])[:1]:
        found.append(
            f"{verdict['check']} ({verdict['object']}) at {verdict['gate']}: measured "
            f"{verdict['measured']}, limit {verdict['limit']}"
        )
    return found
