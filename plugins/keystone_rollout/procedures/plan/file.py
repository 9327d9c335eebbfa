"""Keep a plan's parts as they are read, and write them as one page, one text and one JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keystone_rollout.domain.run.events import PartPlanned
from keystone_rollout.domain.run.systems import Record
from keystone_rollout.procedures.run.report import render_page
from keystone_rollout.views.plan.text import plan_text
from keystone_rollout.views.plan.view import build_plan_view


def record_part(directory: Record, part: str, data: dict[str, Any]) -> None:
    """Keep one part; a cleared task replaces the part that it had read."""
    directory.record(PartPlanned(part=part, data=data))


def recorded_parts(directory: Record) -> dict[str, Any]:
    """Return the newest of each part that was read."""
    return {event.part: event.data for event in directory.events(PartPlanned)}


def write_plan(directory: Record) -> tuple[Path, str]:
    """Write plan.json, plan.txt and plan.html; return the page's path and the text."""
    parts, now = recorded_parts(directory), directory.clock.now()
    view = build_plan_view(parts, directory.run_id, now)
    text = plan_text(view)
    directory.write_json(
        "plan.json",
        {
            "run_id": directory.run_id,
            "planned": round(now, 3),
            "ready": not view["findings"],
            "findings": view["findings"],
            "parts": parts,
        },
    )
    directory.write_text("plan.txt", text)
    return directory.write_text("plan.html", render_page("plan.html.j2", view)), text
