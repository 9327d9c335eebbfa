"""Judge the load: did it stay clean, busy, quick and alive?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from keystone_rollout.domain.load.limits import LoadLimits
from keystone_rollout.domain.load.samples import Sample, Window, merge
from keystone_rollout.domain.run.witness import TAKE_UP_AGAIN
from keystone_rollout.domain.verdict import Verdict

SUBJECT = "locust"
PAGE = "the page of link Load at task load.start_load"
STOPS = "the upgrade stops before the next step"
# A sample is written up to this long after its second began, so a window may lack that much.
UNWRITTEN_SECONDS = 2.0

DIED = "If Locust has ended by itself, start a new run; otherwise clear this task"

WITNESS = "load"
"""The witness of this module's verdicts: a violation that it has found stays one."""


def window_since(
    samples: Sequence[Sample], last_look: float, now: float, limits: LoadLimits
) -> Window:
    """Return the window to judge: everything since the last look, and at least ``window_seconds``.

    A window that reaches back past the last look judges some requests twice; one of a second or two
    would hold too few requests for a percentile. It never begins before the first sample, because
    there was no load yet.
    """
    start = min(last_look, now - limits.window_seconds)
    if samples:
        start = max(start, float(samples[0].t))
    return merge(samples, start=start, end=now)


def judge(
    window: Window,
    baseline: Window | None,
    limits: LoadLimits,
    now: float,
    *,
    session: Window,
    rate: float,
) -> list[Verdict]:
    """Return one verdict for each question about the load.

    ``window`` holds the requests since the last look (``window_since``), ``session`` all since the
    run's first load began: the failure budget is for the whole run, so that a few failures per
    window, or per session, cannot add up unseen. ``baseline`` is the undisturbed cloud, ``rate``
    the profile's actions per second. A check without enough data has failed.
    """
    return [
        _freshness(session, limits, now),
        _failures(session, limits),
        _traffic(window, limits, rate),
        _gap(window, limits),
        _latency(window, baseline, limits),
    ]


def judge_session(session: Window, limits: LoadLimits) -> Verdict:
    """Judge whether the whole session made enough requests to prove anything."""
    return Verdict(
        witness=WITNESS,
        ok=session.requests >= limits.min_requests,
        check="load requests",
        object=SUBJECT,
        measured=f"{session.requests} requests in {session.seconds:.0f} s",
        limit=f"at least {limits.min_requests}",
        consequence="a run with so few requests proves nothing",
        next_step="raise the load's rate in the cloud file, or lower limits.load.min_requests",
    )


def judge_baseline(baseline: Window, limits: LoadLimits) -> Verdict:
    """Judge whether the baseline holds enough requests to compare with."""
    return Verdict(
        witness=WITNESS,
        ok=baseline.timed >= limits.window_min_samples and not baseline.failures,
        check="load baseline",
        object=SUBJECT,
        measured=f"{baseline.failures} failed of {baseline.requests} requests "
        f"in {baseline.seconds:.0f} s{_named_failures(baseline)}",
        limit=f"at least {limits.window_min_samples} requests, 0 failed",
        consequence="nothing has been changed yet; the upgrade does not begin",
        next_step="first make the cloud serve this load without failures, see failures.jsonl",
    )


def judge_baseline_again(
    baseline: Window, undisturbed: Window | None, limits: LoadLimits
) -> list[Verdict]:
    """Return whether a baseline that was measured in mid-upgrade is good enough to go on with.

    It is compared with the undisturbed cloud: a slow one would allow every later window as much.
    """
    held = [judge_baseline(baseline, limits), _latency(baseline, undisturbed, limits)]
    return [
        replace(
            verdict,
            check=f"{verdict.check}, measured again",
            consequence="the cloud does not serve the load in mid-upgrade, so the run does not go "
            "on; what is done stays done",
            next_step="bring the cloud to serve this load again first, see failures.jsonl, then "
            "clear this task",
        )
        for verdict in held
    ]


def judge_ended(session: int) -> Verdict:
    """Return that a session does not run because it was ended on purpose."""
    return Verdict(
        witness=WITNESS,
        ok=False,
        check="load process",
        object=SUBJECT,
        measured=f"session {session} was ended by a teardown",
        limit="running",
        consequence=f"nobody watches the cloud, so {STOPS}",
        next_step=TAKE_UP_AGAIN,
    )


def _freshness(session: Window, limits: LoadLimits, now: float) -> Verdict:
    if session.newest is None:
        measured = "no sample was ever written"
    else:
        measured = f"newest sample is {max(now - session.newest, 0):.1f} s old"
    fresh = session.newest is not None and now - session.newest <= limits.stale_after_seconds
    return Verdict(
        witness=WITNESS,
        ok=fresh,
        check="load alive",
        object=SUBJECT,
        measured=measured if fresh else f"{measured}: Locust stopped writing",
        limit=f"at most {limits.stale_after_seconds:g} s",
        consequence=f"nobody watches the cloud, so {STOPS}",
        next_step=f"read locust.log of this run. {DIED}",
    )


def _failures(session: Window, limits: LoadLimits) -> Verdict:
    return Verdict(
        witness=WITNESS,
        ok=session.failures <= limits.failure_budget,
        check="load failures",
        object=SUBJECT,
        measured=f"{session.failures} failed of {session.requests} requests"
        f"{_named_failures(session)}",
        limit=str(limits.failure_budget),
        consequence=STOPS,
        next_step=f"open {PAGE}, or failures.jsonl of this run: "
        "each line has the time and the error",
    )


def _named_failures(window: Window) -> str:
    named = ", ".join(f"{name} {count}" for name, count in window.failures_by_name.items())
    return f" ({named})" if named else ""


def _traffic(window: Window, limits: LoadLimits, rate: float) -> Verdict:
    seconds = max(window.seconds - UNWRITTEN_SECONDS, 0.0)
    needed = max(int(rate * limits.min_rate_fraction * seconds), 1)
    if window.requests:
        measured = f"{window.requests} requests in {window.seconds:.0f} s ({window.rate:.1f}/s)"
    else:
        measured = f"no traffic: 0 requests in {window.seconds:.0f} s"
    return Verdict(
        witness=WITNESS,
        ok=window.requests >= needed,
        check="load traffic",
        object=SUBJECT,
        measured=measured,
        limit=f"at least {needed} ({limits.min_rate_fraction:.0%} of {rate:g}/s)",
        consequence=f"no requests is not no errors, so {STOPS}",
        next_step=f"see on {PAGE} whether the load still runs and whether Keystone answers",
    )


def _gap(window: Window, limits: LoadLimits) -> Verdict:
    return Verdict(
        witness=WITNESS,
        ok=window.longest_gap <= limits.max_gap_seconds,
        check="load gap",
        object=SUBJECT,
        measured=f"{window.longest_gap:.1f} s without a successful request",
        limit=f"at most {limits.max_gap_seconds:g} s",
        consequence=STOPS,
        next_step="look for a stalled database (SHOW FULL PROCESSLIST) or servers not UP",
    )


def _latency(window: Window, baseline: Window | None, limits: LoadLimits) -> Verdict:
    base = baseline.percentile(99) if baseline is not None else None
    if baseline is None or base is None or baseline.timed < limits.window_min_samples:
        count = baseline.timed if baseline is not None else 0
        return _not_enough_data("baseline", count, limits)
    p99 = window.percentile(99)
    if p99 is None or window.timed < limits.window_min_samples:
        return _not_enough_data("window", window.timed, limits)
    allowed = max(limits.p99_multiple * base, limits.p99_floor_ms)
    return Verdict(
        witness=WITNESS,
        ok=p99 <= allowed,
        check="load p99",
        object=SUBJECT,
        measured=f"{p99:g} ms of {window.timed} requests (baseline {base:g} ms)",
        limit=f"{allowed:g} ms ({limits.p99_multiple:g} x baseline, "
        f"at least {limits.p99_floor_ms:g} ms)",
        consequence=STOPS,
        next_step="wait until the cloud answers quickly again, then clear this task",
    )


def _not_enough_data(what: str, count: int, limits: LoadLimits) -> Verdict:
    return Verdict(
        witness=WITNESS,
        ok=False,
        check="load p99",
        object=SUBJECT,
        measured=f"not enough data: the {what} holds {count} requests",
        limit=f"at least {limits.window_min_samples} requests",
        consequence=f"what could not be measured counts as failed, so {STOPS}",
        next_step="let the load run for a while and clear this task; "
        "if it stays so, see whether Locust runs",
    )
