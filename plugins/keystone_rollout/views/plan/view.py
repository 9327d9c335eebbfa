"""Put a plan into words: everything that its page and its text print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from keystone_rollout.domain.run.estimate import NO_PAST_RUN
from keystone_rollout.domain.schema.migrations import Migration
from keystone_rollout.domain.units import count, duration, moment, size
from keystone_rollout.domain.verdict import Verdict

PARTS = {
    "hop": "plan",
    "migrations": "read_migrations",
    "schema": "read_schema",
    "nodes": "read_nodes",
    "estimate": "estimate_steps",
}
"""The parts of a plan, and the task that reads each."""

LARGEST = 10
"""Tables of the schema that have a row each."""

NOT_KNOWN = "not known"
Data = Mapping[str, Any]


def findings(parts: Data) -> list[Verdict]:
    """Return the findings against an upgrade; a part that was not read is one, too."""
    found = [
        Verdict(
            False, "plan", task, "it did not finish", "every part is read",
            "the plan says nothing about it", f"read the log of task {task}, then plan again",
        )
        for part, task in PARTS.items()
        if part not in parts
    ]  # fmt: skip
    said = [finding for part in PARTS for finding in parts.get(part, {}).get("findings", [])]
    # Each task that reads the database finds one that does not answer.
    return [*(Verdict(**each) for each in _distinct(said)), *found]


def _distinct(said: Sequence[Data]) -> list[Data]:
    return list({tuple(sorted(each.items())): each for each in said}.values())


def build_plan_view(parts: Data, run_id: str, planned: float) -> dict[str, Any]:
    """Return the view of a plan, which may lack parts; ``planned`` in epoch seconds."""
    hop, migrations = parts.get("hop", {}), parts.get("migrations", {})
    found = findings(parts)
    return {
        "state": "failed" if found else "succeeded",
        "headline": "Not ready" if found else "Ready",
        "summary": _summary(found, migrations),
        "cloud": hop.get("cloud", NOT_KNOWN),
        "source": hop.get("source", NOT_KNOWN),
        "target": hop.get("target", NOT_KNOWN),
        "run_id": run_id,
        "planned": moment(planned),
        "findings": [asdict(each) for each in found],
        "image": migrations.get("image") or NOT_KNOWN,
        "digest": migrations.get("digest") or "",
        "stands": migrations.get("stands") or NOT_KNOWN,
        "phases": phase_rows(migrations.get("phases")),
        "schema": schema_view(parts.get("schema", {}).get("tables")),
        "conditions": hop.get("conditions", []),
        "nodes": node_rows(parts.get("nodes", {}).get("nodes")),
        "way": way_rows(migrations.get("phases"), parts.get("nodes", {}).get("nodes")),
        "estimate": estimate_view(parts.get("estimate")),
    }


def _summary(found: Sequence[Verdict], migrations: Data) -> str:
    if found:
        things = "1 thing stands" if len(found) == 1 else f"{len(found)} things stand"
        return f"{things} in the way or could not be read; all that could be read follows."
    pending = sum(len(phase["pending"]) for phase in migrations.get("phases") or [])
    are = "migration is" if pending == 1 else "migrations are"
    what = f"{count(pending) if pending else 'No'} {are} pending"
    return f"{what}. Nothing was touched; task preflight checks the rest when the upgrade starts."


def phase_rows(phases: Sequence[Data] | None) -> list[dict[str, Any]] | None:
    """Return every phase with its migrations in order; None if they are not known.

    Placeholders that follow each other share a row.
    """
    if phases is None:
        return None
    return [
        {
            "phase": phase["phase"],
            "sentence": phase["sentence"],
            "migrations": list(_migrations(phase["pending"])),
        }
        for phase in phases
    ]


def _migrations(pending: Sequence[Data]) -> Iterator[str]:
    for placeholder, group in groupby(pending, key=lambda each: Migration(**each).placeholder):
        names = [each["name"] for each in group]
        if not placeholder:
            yield from names
        elif len(names) == 1:
            yield f"{names[0]}: a placeholder, which changes nothing"
        else:
            yield f"{names[0]} … {names[-1]}: {len(names)} placeholders, which change nothing"


def schema_view(tables: Data | None) -> dict[str, Any] | None:
    """Return the schema's size and its largest tables; None if they are not known."""
    if tables is None:
        return None
    ordered = sorted(tables, key=lambda name: (-tables[name]["bytes"], name))
    total = {
        "rows": sum(each["rows"] for each in tables.values()),
        "exact": all(each["exact"] for each in tables.values()),
        "bytes": sum(each["bytes"] for each in tables.values()),
    }
    found = _extent(total)
    return {
        "sentence": f"{len(tables)} tables with {found['rows']} rows, {found['size']} in all. A "
        "migration that alters or copies a large table takes long.",
        "largest": [{"table": name, **_extent(tables[name])} for name in ordered[:LARGEST]],
    }


def _extent(measured: Data) -> dict[str, str]:
    about = "" if measured["exact"] else "about "
    return {"rows": f"{about}{count(measured['rows'])}", "size": size(measured["bytes"])}


def node_rows(nodes: Sequence[Data] | None) -> list[dict[str, Any]] | None:
    """Return the nodes in the order in which they are upgraded; None if they are not known."""
    if nodes is None:
        return None
    return [
        {
            "number": number,
            "name": node["name"],
            "release": node["release"],
            "servers": ", ".join(
                f"{balancer}/{node['server']} {state}" for balancer, state in node["states"].items()
            ),
        }
        for number, node in enumerate(nodes, start=1)
    ]


def way_rows(phases: Sequence[Data] | None, nodes: Sequence[Data] | None) -> list[dict[str, Any]]:
    """Return the steps of the upgrade, and what can be undone before and after contract."""
    does = {phase["phase"]: phase for phase in phases or []}
    names = [node["name"] for node in nodes] if nodes else []
    over = ", then ".join(names) if names else "the nodes"
    contracts = does.get("contract", {}).get("does", "runs") == "runs"
    after = (
        "point of no return: after it only keystone_restore leads back, to the verified backup, "
        "with downtime and without the writes since"
        if contracts
        else "contract has nothing to do: keystone_rollback works after it, too"
    )
    rows = [
        (
            "expand",
            "adds what the new release needs; the old one goes on serving, there is nothing "
            "to undo",
        ),
        ("migrate", "fills what was added, which stays and does not hurt the old release"),
        (over, "one by one under load; a node that fails is rolled back to the old release"),
        (
            "verify, approval",
            "last moment for keystone_rollback: all nodes rolled back, no write lost",
        ),
        ("contract", after),
    ]
    return [
        {"step": step, "text": text, "no_return": step == "contract" and contracts}
        for step, text in rows
    ]


def estimate_view(part: Data | None) -> dict[str, Any]:
    """Return how long each step took in past runs, or a sentence if there are none."""
    if part is None:
        part = {"steps": [], "total": None, "out_of_rotation": None}
        sentence = "Not known: see what could not be read."
    else:
        sentence = _measured_in(part)
    return {
        "known": bool(part["steps"]),
        "sentence": sentence,
        "total": _time(part["total"]),
        "out_of_rotation": _time(part["out_of_rotation"]),
        "steps": [{"step": each["step"], **_time(each)} for each in part["steps"]],
    }


def _measured_in(part: Data) -> str:
    text = NO_PAST_RUN[0].upper() + NO_PAST_RUN[1:]
    if part["steps"]:
        text = f"From {_runs(part['runs'])} of this cloud and hop"
        if part["runs_of_other_hops"]:
            text += f" and {_runs(part['runs_of_other_hops'])} of its other hops"
    if part["unreadable"]:
        text += f"; {_runs(len(part['unreadable']))} could not be read"
    return f"{text}."


def _runs(number: int) -> str:
    return f"{number} run{'s' if number != 1 else ''}"


def _time(line: Data | None) -> dict[str, str]:
    if line is None:
        return {"median": NOT_KNOWN, "worst": NOT_KNOWN, "runs": "no run"}
    other = ", other hop" if line["other_hop"] else ""
    return {
        "median": _seconds(line["median"]),
        "worst": _seconds(line["worst"]),
        "runs": _runs(line["runs"]) + other,
    }


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 60 else duration(value)
