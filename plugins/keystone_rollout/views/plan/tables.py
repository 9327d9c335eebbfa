"""Bring together which tables pending migrations touch, and how large these are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keystone_rollout.domain.scripts.script_effects import Act
from keystone_rollout.domain.units import count, size

Data = Mapping[str, Any]


def table_rows(phases: Sequence[Data] | None, sizes: Data | None) -> list[dict[str, str]] | None:
    """Return the touched tables, largest first; None where the migrations are not known.

    A script that was not understood has a row of its own, at the top.
    """
    if phases is None:
        return None
    acts: dict[str, dict[str, list[str]]] = {}
    for phase, migration in _pending(phases):
        for table, done in migration["tables"].items():
            here = acts.setdefault(table, {}).setdefault(phase, [])
            here += [act for act in done if act not in here]
    unknown = [
        {"table": "unknown tables", "acts": f"{phase}: {migration['name']}, "
         f"{'; '.join(migration['unknown'])}", "rows": "not known", "size": "not known"}
        for phase, migration in _pending(phases)
        if migration["unknown"]
    ]  # fmt: skip
    ordered = sorted(acts, key=lambda table: (-_bytes(sizes, table), table))
    return unknown + [
        {
            "table": table,
            "acts": "; ".join(f"{phase}: {', '.join(done)}" for phase, done in acts[table].items()),
            **_extent(sizes, table, any(Act.APPEARS in done for done in acts[table].values())),
        }
        for table in ordered
    ]


def trigger_rows(phases: Sequence[Data] | None) -> list[dict[str, str]] | None:
    """Return the triggers that appear and when they go; None where that is not known."""
    if phases is None:
        return None
    rows: dict[str, dict[str, str]] = {}
    for phase, migration in _pending(phases):
        place = f"{phase}, {migration['name']}"
        for name in migration["triggers_made"]:
            rows[name] = {"trigger": name, "appears": place, "goes": "not by these migrations"}
        for name in migration["triggers_dropped"]:
            before = {"trigger": name, "appears": "is there before"}
            rows[name] = {**rows.get(name, before), "goes": place}
        if migration["unnamed_triggers"]:
            rows[place] = {"trigger": "creates triggers, names not in the text", "appears": place,
                           "goes": "not known"}  # fmt: skip
    return list(rows.values())


def _pending(phases: Sequence[Data]) -> Iterator[tuple[str, Data]]:
    for phase in phases:
        for migration in phase["pending"]:
            yield phase["phase"], migration


def _bytes(sizes: Data | None, table: str) -> int:
    return int(sizes[table]["bytes"]) if sizes and table in sizes else 0


def _extent(sizes: Data | None, table: str, appears: bool) -> dict[str, str]:
    if sizes is None:
        return {"rows": "not known", "size": "not known"}
    if table not in sizes:
        return {"rows": "not there yet" if appears else "not in the schema", "size": ""}
    found = sizes[table]
    about = "" if found["exact"] else "about "
    return {"rows": f"{about}{count(found['rows'])}", "size": size(found["bytes"])}
