"""Make the page of a run's load from what the load has written so far, for whoever asks now."""

from __future__ import annotations

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.load.samples import SampleError, parse_samples, under_load
from keystone_rollout.domain.load.state import STATE_FILE, parse_state
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.files.run_pages import load_sessions, load_text, run_page
from keystone_rollout.procedures.run.report import render_page
from keystone_rollout.views.load_page import LoadSoFar, build_load_view

REPORT = "report.html"


def live_page(run_id: str, clock: Clock = SYSTEM_CLOCK) -> str | None:
    """Return the page of a run's load as HTML, or None if there is no such run.

    Everything comes from files: the load's process may be on another machine, or in another
    container, than whoever serves the page.
    """
    sessions = load_sessions(run_id)
    if sessions is None:
        return None
    found = [read_session(run_id, session) for session in sessions]
    report = REPORT if run_page(run_id, REPORT) else ""
    return render_page("load.html.j2", build_load_view(run_id, found, clock.now(), report))


def read_session(run_id: str, session: int) -> LoadSoFar:
    """Return what a load session has written; a record that cannot be read is its problem."""
    problem = ""
    try:
        samples = parse_samples(load_text(run_id, session, "samples.jsonl"))
    except SampleError as error:
        samples, problem = [], str(error)
    return LoadSoFar(
        number=session,
        state=parse_state(load_text(run_id, session, STATE_FILE)),
        samples=under_load(samples),
        failures=load_text(run_id, session, "failures.jsonl"),
        problem=problem,
    )
