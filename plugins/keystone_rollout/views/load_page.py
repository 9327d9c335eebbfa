"""Say in words what a run's load has written so far: everything its live page prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keystone_rollout.domain.load.samples import Sample, Window, merge, with_unwritten_failures
from keystone_rollout.domain.load.state import HAS_ENDED, LOADS, LoadState
from keystone_rollout.domain.units import clock, count, duration, milliseconds

REFRESH_SECONDS = 5
GIVEN_UP_SECONDS = 600
"""A load that has been silent for so long will not speak again: the page rests."""
RECENT_SECONDS = 60
SHOWN_FAILURES = 10


@dataclass(frozen=True)
class LoadSoFar:
    """What one load session has written: its state, samples, failures.jsonl.

    ``problem`` says why there are no samples if the record cannot be read.
    """

    number: int
    state: LoadState | None
    samples: Sequence[Sample]
    failures: str
    problem: str = ""

    @property
    def window(self) -> Window:
        """Return the whole session, failures that no sample has yet included."""
        return with_unwritten_failures(merge(self.samples), self.failures)


def build_load_view(
    run_id: str, sessions: Sequence[LoadSoFar], now: float, report: str = ""
) -> dict[str, Any]:
    """Return the view of a run's load at epoch second ``now``; the newest session comes last.

    ``report`` is the address of the run's report, or empty.
    """
    view: dict[str, Any] = {"run_id": run_id, "at": clock(now), "report": report, "refresh": 0}
    if not sessions:
        summary = "This run has started no load" + ("." if report else " yet.")
        refresh = 0 if report else REFRESH_SECONDS
        return {**view, "state": "unknown", "headline": "No load", "summary": summary,
                "refresh": refresh, "tiles": [], "windows": [], "actions": [],
                "failures": [], "problem": ""}  # fmt: skip
    newest = sessions[-1]
    window, run = newest.window, [each.window for each in sessions]
    state, headline, words = _state(newest, window, now)
    return {
        **view,
        "state": state,
        "headline": headline,
        "summary": f"Session {newest.number} {words}",
        "refresh": 0 if _is_over(newest.state, now) else REFRESH_SECONDS,
        "tiles": _tiles(newest, run),
        "windows": _windows(newest, window),
        "actions": [
            {"name": name, "requests": count(requests), "failed": count(failed),
             "bad": failed > 0}
            for name, (requests, failed) in sorted(window.by_name.items())
        ],
        "failures": _failures(newest.failures),
        "problem": newest.problem,
    }  # fmt: skip


def _state(session: LoadSoFar, window: Window, now: float) -> tuple[str, str, str]:
    """Return how good it is, a headline, and the rest of a sentence."""
    own, clean = session.state, "failed" if window.failures else "succeeded"
    if own is None:
        return "unknown", "Starting", "has not written its state yet."
    if own.is_silent(now):
        silence = duration(abs(now - own.t))
        return "failed", "Silent", (
            f"has not written its state for {silence}, its last one was {own.state}: "
            "it was killed, or it hangs. Next: read locust.log of this session"
        )  # fmt: skip
    if own.state in HAS_ENDED:
        return clean, "Ended", f"ended at {clock(own.t)} UTC."
    if own.state in LOADS:
        return clean, own.state.capitalize(), f"is {own.state}, with {own.users} users."
    return "unknown", own.state.capitalize(), f"is {own.state}."


def _is_over(own: LoadState | None, now: float) -> bool:
    return own is not None and (own.state in HAS_ENDED or now - own.t > GIVEN_UP_SECONDS)


def _tiles(newest: LoadSoFar, run: Sequence[Window]) -> list[dict[str, str]]:
    requests, failures = sum(one.requests for one in run), sum(one.failures for one in run)
    of_run = f"in {len(run)} sessions" if len(run) > 1 else ""
    last = newest.samples[-1] if newest.samples else None
    users = str(newest.state.users) if newest.state else "unknown"
    return [
        _tile("Users", users, "clients at work"),
        _tile("Requests", count(requests), of_run),
        _tile("Failed requests", count(failures), of_run, "bad" if failures else "good"),
        _tile("Last second", f"{count(last.requests)} requests" if last else "no sample",
              f"{clock(last.t)} UTC, {count(last.failures)} failed" if last else ""),
    ]  # fmt: skip


def _tile(label: str, value: str, note: str, state: str = "") -> dict[str, str]:
    return {"label": label, "value": value, "note": note, "state": state}


def _windows(newest: LoadSoFar, window: Window) -> list[dict[str, str]]:
    end = window.newest or window.end
    recent = merge(newest.samples, start=max(end - RECENT_SECONDS, window.start), end=end)
    named = {f"last {RECENT_SECONDS} s": recent, f"session {newest.number}": window}
    return [
        {
            "name": name,
            "took": duration(each.seconds),
            "requests": count(each.requests),
            "failed": count(each.failures),
            "rate": f"{each.rate:.1f}/s",
            "p50": milliseconds(each.percentile(50)),
            "p99": milliseconds(each.percentile(99)),
            "gap": f"{each.longest_gap:.1f} s",
        }
        for name, each in named.items()
    ]


def _failures(text: str) -> list[dict[str, str]]:
    """Return the last failed requests, the newest first; a half-written line is left out."""
    lines = text.split("\n")[:-1]
    return [_failure(line) for line in reversed(lines[-SHOWN_FAILURES:])]


def _failure(line: str) -> dict[str, str]:
    try:
        found = json.loads(line)
        at = f"{clock(float(found['t']))} UTC"
        return {"at": at, **{key: str(found[key]) for key in ("name", "status", "error")}}
    except (ValueError, KeyError, TypeError):
        return {"at": "unknown", "name": "unknown", "status": "unknown", "error": line}
