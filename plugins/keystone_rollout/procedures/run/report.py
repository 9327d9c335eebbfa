"""Write a run's report from its directory alone, in every state of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from keystone_rollout.domain.run.events import Noted, Reported
from keystone_rollout.domain.run.record import RunRecord, build_record
from keystone_rollout.domain.run.systems import Record
from keystone_rollout.hooks.files.project import INCLUDE
from keystone_rollout.views.report.view import build_view


class EndNotRecorded(OSError):
    """A report of a run whose end could not be recorded, and what to do."""


def report_path(directory: Record) -> Path:
    """Return the path of a run's report, which may not exist yet."""
    return directory.path / "report.html"


def write_report_so_far(directory: Record) -> Path:
    """Write the report of a run that waits for an answer, for the person who gives it.

    It is replaced at the run's end, and does not count as that end.
    """
    return write_report(directory, read_record(directory, "waiting", []))


def read_record(directory: Record, state: str, failed_tasks: Sequence[str]) -> RunRecord:
    """Return the run record as of now, see `write_run_report`."""
    events, (samples, lacking) = directory.all_events(), directory.samples()
    last = events[-1].t if events else 0.0
    # Without these numbers a report says more than none does.
    events += [Noted(t=last, text=text) for text in lacking]
    return build_record(directory.run_id, events, samples, state, failed_tasks)


def write_run_report(directory: Record, state: str, failed_tasks: Sequence[str]) -> Path:
    """Write report.json and report.html; return the latter's path.

    ``state`` is "succeeded", "failed" or "interrupted" (killed, and reported by a later run).
    EndNotRecorded if the record does not take this end.
    """
    path = write_report(directory, read_record(directory, state, failed_tasks))
    if not directory.record(Reported(state=state, path=str(path))):
        raise EndNotRecorded(
            f"{path} was written, but the record of this run does not say that it ended: "
            f"{directory.path} takes no event. Next: make that folder writable (is its disk "
            "full?), then clear this task"
        )
    return path


TEMPLATES = INCLUDE / "report"


def render_report(record: RunRecord) -> str:
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


def write_report(directory: Record, record: RunRecord) -> Path:
    """Write report.json and report.html into the run's directory; return the latter's path.

    Each is replaced in one step, the JSON first: it is there even if the page cannot be made.
    """
    directory.write_json("report.json", record.to_dict())
    return directory.write_text("report.html", render_report(record))
