"""Samples are read line by line and merged into windows."""

import random

import pytest

from keystone_rollout.domain.load.samples import (
    Sample,
    SampleError,
    merge,
    parse_samples,
    response_time_bucket,
    under_load,
)


def sample(t: int, **fields: object) -> Sample:
    values: dict[str, object] = {
        "requests": 2,
        "failures": 0,
        "users": 20,
        "last_success": t + 0.5,
        "longest_gap": 0.5,
        "ms": {10.0: 1, 30.0: 1},
        "by_name": {"issue_token": (2, 0)},
    }
    return Sample(t=t, **(values | fields))  # type: ignore[arg-type]


def test_a_line_is_read_as_it_was_written() -> None:
    one = sample(100, failures=1, by_name={"get_user": (2, 1)}, ms={0.42: 1, 1200.0: 1})
    assert parse_samples(one.to_line() + "\n") == [one]


def test_a_half_written_last_line_is_ignored() -> None:
    text = f"{sample(100).to_line()}\n{sample(101).to_line()}\n{sample(102).to_line()[:40]}"
    assert [one.t for one in parse_samples(text)] == [100, 101]


def test_a_whole_last_line_without_newline_is_not_yet_there() -> None:
    assert parse_samples(sample(100).to_line()) == []


def test_an_empty_file_has_no_samples() -> None:
    assert parse_samples("") == []


@pytest.mark.parametrize("bad", ["", "{", '{"t": 1}', "[]", '{"t": "x"}', "\0\0"])
def test_a_corrupt_line_in_the_middle_is_named(bad: str) -> None:
    text = f"{sample(100).to_line()}\n{bad}\n{sample(102).to_line()}\n"
    with pytest.raises(SampleError, match=r"^run/samples\.jsonl line 2 is not a sample"):
        parse_samples(text, "run/samples.jsonl")


def test_windows_count_each_second_that_they_touch() -> None:
    samples = [sample(t) for t in range(100, 110)]
    assert merge(samples, start=103.7, end=106).requests == 6
    assert merge(samples, start=103.7).requests == 14
    assert merge(samples).requests == 20


def test_adjoining_windows_leave_nothing_out() -> None:
    samples = [sample(t, failures=1) for t in range(100, 110)]
    first, second = merge(samples, end=104.3), merge(samples, start=104.3)
    assert first.failures + second.failures >= 10


def test_rate_counts_silent_seconds() -> None:
    window = merge([sample(100, requests=100)], start=100, end=110)
    assert window.rate == 10.0


def test_an_empty_window_measures_nothing() -> None:
    window = merge([], start=100, end=110)
    assert (window.requests, window.newest, window.percentile(99)) == (0, None, None)
    assert window.longest_gap == 10.0


def test_failures_are_named_most_first() -> None:
    window = merge(
        [
            sample(100, by_name={"get_user": (5, 1), "issue_token": (3, 0)}),
            sample(101, by_name={"get_user": (5, 1), "create_user": (9, 5)}),
        ]
    )
    assert list(window.failures_by_name.items()) == [("create_user", 5), ("get_user", 2)]


def test_the_longest_gap_is_the_longest_of_all() -> None:
    samples = [sample(100), sample(101, longest_gap=3.25), sample(102)]
    assert merge(samples).longest_gap == 3.25


def test_a_silence_that_lasts_is_a_gap_too() -> None:
    silent = [sample(t, requests=0, last_success=100.5, longest_gap=0.0) for t in range(101, 108)]
    assert merge([sample(100), *silent]).longest_gap == 7.5


def test_percentiles_are_within_five_percent() -> None:
    draw = random.Random(4)
    times = [draw.lognormvariate(4, 1.5) for _ in range(5000)]
    ms: dict[float, int] = {}
    for one in times:
        bucket = response_time_bucket(one)
        ms[bucket] = ms.get(bucket, 0) + 1
    window = merge([sample(100, ms=ms)])
    times.sort()
    for percent in (1, 50, 90, 99, 100):
        exact = times[-(-len(times) * percent // 100) - 1]
        assert window.percentile(percent) == pytest.approx(exact, rel=0.05)


def test_a_rank_between_two_requests_is_the_later_one() -> None:
    assert merge([sample(100, ms={10.0: 148, 500.0: 2})]).percentile(99) == 500.0


def test_every_bucket_is_within_five_percent() -> None:
    for step in range(1, 200000):
        value = step / 10
        assert abs(response_time_bucket(value) - value) <= 0.05 * value


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_percentile_outside_its_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match=rf"percentile {percent} is not in"):
        merge([sample(100)]).percentile(percent)


def test_the_end_of_a_session_is_no_silence() -> None:
    stopped = [sample(3, users=0, requests=4), sample(4, users=0, requests=0)]
    samples = [sample(1, users=2, requests=5), sample(2, users=2, requests=0), *stopped]
    assert [each.t for each in under_load(samples)] == [1, 2, 3]
    assert under_load([sample(1, users=0, requests=0)]) == []
