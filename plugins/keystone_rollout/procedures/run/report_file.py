"""Write a run's report: the record as JSON, and one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from keystone_rollout.hooks.files.project import INCLUDE
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.views.report.view import build_view

TEMPLATES = INCLUDE / "report"


def render_report(record: dict[str, Any]) -> str:
    """Return the report of a run record as one HTML document."""
    return render_page("report.html.j2", build_view(record))


def render_page(template: str, view: dict[str, Any]) -> str:
    """Return a view as one HTML document, by a template of include/report.

    Style and drawings are part of it: it opens offline, and can be sent to a colleague as it is.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Our own file, which would lose its quotes to the escaping of everything else.
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(view=view, style=style)


def write_report(directory: RunDirectory, record: dict[str, Any]) -> Path:
    """Write report.json and report.html into the run's directory; return the latter's path.

    Each is replaced in one step, the JSON first: it is there even if the page cannot be made.
    """
    directory.write_json("report.json", record)
    return directory.write_text("report.html", render_report(record))
