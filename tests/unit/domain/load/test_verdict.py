"""The load is judged; each verdict names what was measured and against which limit."""

from dataclasses import replace

import pytest

from keystone_rollout.domain.load.limits import LoadLimits
from keystone_rollout.domain.load.samples import Sample, Window, merge
from keystone_rollout.domain.load.verdict import judge, judge_baseline, judge_session, window_since
from keystone_rollout.domain.verdict import Verdict, failed

NOW = 1000.0
LIMITS = LoadLimits(
    min_rate_fraction=0.3,
    p99_multiple=4,
    p99_floor_ms=200,
    max_gap_seconds=10,
    window_min_samples=100,
)
BASELINE = Window(900, 920, requests=1200, newest=920.0, ms={50.0: 1180, 80.0: 20})
GOOD = Window(
    970, NOW, requests=1800, newest=NOW, last_success=NOW, longest_gap=0.2, ms={50.0: 1800}
)
SESSION = replace(GOOD, start=900.0, requests=6000)


def verdict(
    check: str,
    window: Window = GOOD,
    baseline: Window | None = BASELINE,
    session: Window = SESSION,
    limits: LoadLimits = LIMITS,
) -> Verdict:
    verdicts = judge(window, baseline, limits, NOW, session=session, rate=60.0)
    return next(one for one in verdicts if one.check == check)


def test_a_good_load_has_no_failed_verdict() -> None:
    verdicts = judge(GOOD, BASELINE, LIMITS, NOW, session=SESSION, rate=60.0)
    assert len(verdicts) == 5
    assert failed(verdicts) == []


def test_one_failure_anywhere_in_the_session_exceeds_a_budget_of_none() -> None:
    session = replace(SESSION, failures=1, by_name={"create_user": (40, 1)})
    found = verdict("load failures", session=session)
    assert not found.ok
    assert str(found) == (
        "FAILED load failures (locust): measured 1 failed of 6000 requests (create_user 1), "
        "limit 0. Consequence: the upgrade stops before the next step. Next: open "
        "the page of link Load at task load.start_load, or failures.jsonl of this run: each line "
        "has the time and the error"
    )


def test_failures_within_the_budget_pass_and_beyond_fail() -> None:
    limits = LIMITS.model_copy(update={"failure_budget": 3})
    assert verdict("load failures", session=replace(SESSION, failures=3), limits=limits).ok
    assert not verdict("load failures", session=replace(SESSION, failures=4), limits=limits).ok


def test_no_traffic_has_words_of_its_own() -> None:
    found = verdict("load traffic", window=replace(GOOD, requests=0, ms={}))
    assert not found.ok
    assert found.measured == "no traffic: 0 requests in 30 s"


def test_too_little_traffic_fails() -> None:
    found = verdict("load traffic", window=replace(GOOD, requests=500))
    assert (found.ok, found.measured) == (False, "500 requests in 30 s (16.7/s)")
    assert found.limit == "at least 504 (30% of 60/s)"
    assert verdict("load traffic", window=replace(GOOD, requests=504)).ok


def test_a_window_of_no_length_still_needs_a_request() -> None:
    window = replace(GOOD, start=NOW, requests=0)
    assert not verdict("load traffic", window=window).ok


def test_p99_is_compared_with_a_multiple_of_the_baseline() -> None:
    slow = replace(GOOD, ms={50.0: 1700, 330.0: 100})
    found = verdict("load p99", window=slow)
    assert not found.ok
    assert found.measured == "330 ms of 1800 requests (baseline 80 ms)"
    assert found.limit == "320 ms (4 x baseline, at least 200 ms)"
    assert verdict("load p99", window=replace(GOOD, ms={50.0: 1700, 320.0: 100})).ok


def test_the_floor_spares_a_fast_baseline() -> None:
    fast = replace(BASELINE, ms={5.0: 1200})
    assert verdict("load p99", window=replace(GOOD, ms={190.0: 1800}), baseline=fast).ok
    assert not verdict("load p99", window=replace(GOOD, ms={210.0: 1800}), baseline=fast).ok


@pytest.mark.parametrize(
    ("window", "baseline", "measured"),
    [
        (GOOD, None, "not enough data: the baseline holds 0 requests"),
        (GOOD, replace(BASELINE, ms={50.0: 99}), "not enough data: the baseline holds 99 requests"),
        (replace(GOOD, ms={}), BASELINE, "not enough data: the window holds 0 requests"),
        (replace(GOOD, ms={50.0: 99}), BASELINE, "not enough data: the window holds 99 requests"),
    ],
)
def test_too_few_samples_are_no_percentile(
    window: Window, baseline: Window | None, measured: str
) -> None:
    found = verdict("load p99", window=window, baseline=baseline)
    assert (found.ok, found.measured) == (False, measured)
    assert found.limit == "at least 100 requests"


def test_a_load_that_stopped_writing_is_dead() -> None:
    found = verdict("load alive", session=replace(SESSION, newest=NOW - 11))
    assert not found.ok
    assert found.measured == "newest sample is 11.0 s old: Locust stopped writing"
    assert verdict("load alive", session=replace(SESSION, newest=NOW - 9)).ok


def test_a_load_that_never_wrote_is_dead() -> None:
    found = verdict("load alive", session=Window(0, 0))
    assert not found.ok
    assert "no sample was ever written" in found.measured


def test_a_long_silence_fails_although_nothing_failed() -> None:
    found = verdict("load gap", window=replace(GOOD, longest_gap=10.1))
    assert (found.ok, found.measured) == (False, "10.1 s without a successful request")


def test_the_window_reaches_back_far_enough_for_a_percentile() -> None:
    samples = [Sample(t, 60, 0, 20, t + 0.9, 0.1, {50.0: 60}, {}) for t in range(900, 1000)]
    assert window_since(samples, NOW - 1, NOW, LIMITS).start == NOW - LIMITS.window_seconds
    assert window_since(samples, NOW - 40, NOW, LIMITS).start == NOW - 40
    assert window_since(samples, 0.0, NOW, LIMITS).start == 900


def test_killed_load_is_noticed_from_its_samples_alone() -> None:
    """All the verdicts together, on samples that end 12 s before now."""
    samples = [Sample(t, 60, 0, 20, t + 0.9, 0.1, {50.0: 60}, {}) for t in range(900, 988)]
    window = window_since(samples, NOW - 20, NOW, LIMITS)
    verdicts = judge(window, BASELINE, LIMITS, NOW, session=merge(samples), rate=60.0)
    assert [one.check for one in failed(verdicts)] == ["load alive", "load gap"]


def test_a_session_needs_enough_requests() -> None:
    found = judge_session(replace(SESSION, requests=4999), LIMITS)
    assert (found.ok, found.measured, found.limit) == (
        False,
        "4999 requests in 100 s",
        "at least 5000",
    )
    assert judge_session(replace(SESSION, requests=5000), LIMITS).ok


def test_a_baseline_with_failures_or_without_data_is_none() -> None:
    assert judge_baseline(BASELINE, LIMITS).ok
    assert not judge_baseline(replace(BASELINE, failures=1), LIMITS).ok
    assert not judge_baseline(replace(BASELINE, ms={50.0: 99}), LIMITS).ok


def test_a_verdict_says_what_was_measured() -> None:
    assert str(verdict("load gap")).startswith("ok load gap (locust): measured 0.2 s")
