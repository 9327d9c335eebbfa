"""The tables of measured hops, in Markdown, which the matrix and the long way share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.campaigns.hop_record import HopRecord
from lab.campaigns.markdown import NOT_MEASURED, by_phase, decimal, duration, number, quote, table
from lab.data.version_tables import VersionTables

VERDICTS = {"green": "green", "red": "**RED**", "not run": "not run"}


def summary_table(records: Sequence[HopRecord]) -> str:
    """Return the table that comes first: what became of each hop."""
    rows = [
        [
            f"{record.title} ({record.source.version} → {record.target.version})",
            VERDICTS[record.state],
            failed_of_total(record),
            decimal(record.p99_ratio, " ×", 2),
            schema_change(record),
            "; ".join(notes(record)),
        ]
        for record in records
    ]
    header = ("hop", "verdict", "failed of total ", "p99 to baseline ", "schema change", "notes")
    return table(header, rows)


def failed_of_total(record: HopRecord) -> str:
    """Return how many requests failed of how many; no request is not zero failures."""
    if not record.requests:
        return NOT_MEASURED
    return f"{number(record.failures)} of {number(record.requests)}"


def schema_change(record: HopRecord) -> str:
    """Return from where to where the schema went."""
    if not record.before and not record.after:
        return NOT_MEASURED
    if not record.after:
        return f"at {by_phase(record.before)}, no phase was recorded"
    if record.before == record.after:
        return "none"
    if all(len(set(side.values())) == 1 for side in (record.before, record.after)):
        return f"{by_phase(record.before)} → {by_phase(record.after)}"
    return ", ".join(
        f"{phase} {record.before.get(phase, NOT_MEASURED)} → {after}"
        for phase, after in record.after.items()
        if record.before.get(phase) != after
    )


def notes(record: HopRecord) -> list[str]:
    """Return what is particular about a hop."""
    found = []
    if record.state == "not run":
        return ["see below"]
    if record.state == "red":
        found.append("see below")
    if record.target.number - record.source.number > 1:
        found.append("skips a release")
    # That alembic has no phase migrate is nothing particular.
    idle = [phase for phase in record.idle_phases if phase in record.heads]
    if idle:
        found.append(f"nothing to do in {', '.join(idle)}")
    if record.schema.tables_before.keys() != record.schema.tables_after.keys():
        found.append(f"version tables afterwards: {', '.join(record.schema.tables_after)}")
    if record.triggers_most:
        found.append(f"up to {record.triggers_most} triggers")
    if record.own_cache:
        found.append("each release has a cache of its own")
    if record.source.python != record.target.python:
        found.append(f"Python {record.source.python} → {record.target.python}")
    return found


def schema_table(records: Sequence[HopRecord]) -> str:
    """Return the schema's versions by phase, and the triggers."""
    rows = [
        [
            record.title,
            by_phase(record.before),
            by_phase(record.heads),
            by_phase(record.after),
            _triggers(record),
            ", ".join(record.idle_phases) or "none",
        ]
        for record in _ran(records)
    ]
    header = (
        "hop", "before", "heads in the image", "after", "triggers before / most / after",
        "phases with nothing to do",
    )  # fmt: skip
    return table(header, rows)


def measurements_table(records: Sequence[HopRecord]) -> str:
    """Return latencies and times, and on what each hop ran."""
    rows = [
        [
            record.title,
            decimal(record.p99, " ms", 0),
            decimal(record.baseline_p99, " ms", 0),
            decimal(record.longest_gap, " s", 2),
            _out_of_rotation(record.out_of_rotation),
            duration(record.upgrade_seconds),
            duration(record.lab_seconds),
            f"{record.source.python} → {record.target.python}, {record.suite}",
            "own" if record.own_cache else "shared",
            record.began,
        ]
        for record in _ran(records)
    ]
    header = (
        "hop", "p99 ", "baseline p99 ", "longest gap ", "out of rotation, per node",
        "upgrade ", "lab ", "Python, Debian", "cache", "when (UTC)",
    )  # fmt: skip
    return table(header, rows)


def evidence(records: Sequence[HopRecord]) -> str:
    """Return why hops are red or were not run, in full; empty where there is none."""
    parts = [
        f"### {record.title}: {VERDICTS[record.state]}\n\n"
        f"{record.began or 'never'} UTC:\n\n{quote(record.reason)}"
        for record in records
        if record.state != "green"
    ]
    return "\n".join(parts)


def version_tables(tables: VersionTables) -> str:
    """Return the rows of both version tables in one line."""
    if not tables:
        return NOT_MEASURED
    return "; ".join(f"{name}: {', '.join(rows) or 'no row'}" for name, rows in tables.items())


def _ran(records: Sequence[HopRecord]) -> list[HopRecord]:
    return [record for record in records if record.state != "not run"]


def _triggers(record: HopRecord) -> str:
    schema = record.schema
    counts = (schema.triggers_before, record.triggers_most, schema.triggers_after)
    return " / ".join(number(count) for count in counts)


def _out_of_rotation(nodes: Mapping[str, float]) -> str:
    return ", ".join(f"{seconds:.1f} s" for seconds in nodes.values())
