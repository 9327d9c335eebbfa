"""The failures of the second in progress count, once and under their names."""

import json

import pytest

from keystone_rollout.domain.load.samples import (
    UNREADABLE,
    Sample,
    Window,
    merge,
    with_unwritten_failures,
)


def window() -> Window:
    """Return seconds 100 and 101, with one failure."""
    names = {"get_user": (5, 1)}
    return merge(
        [
            Sample(100, 5, 1, 20, 100.9, 0.1, {10.0: 5}, names),
            Sample(101, 5, 0, 20, 101.9, 0.1, {10.0: 5}, {"get_user": (5, 0)}),
        ]
    )


def line(t: float, name: str) -> str:
    return json.dumps({"t": t, "name": name, "method": "GET", "status": 503, "error": "x"}) + "\n"


def test_a_failure_after_the_newest_sample_counts() -> None:
    text = line(100.4, "get_user") + line(102.0, "get_user") + line(102.7, "issue_token")
    found = with_unwritten_failures(window(), text)
    assert (found.requests, found.failures) == (12, 3)
    assert found.failures_by_name == {"get_user": 2, "issue_token": 1}


def test_what_a_sample_holds_is_not_counted_again() -> None:
    assert with_unwritten_failures(window(), line(100.4, "get_user")) == window()


def test_without_a_sample_every_failure_counts() -> None:
    assert with_unwritten_failures(merge([]), line(5.0, "issue_token")).failures == 1


def test_a_line_in_the_writing_is_left_out() -> None:
    assert with_unwritten_failures(window(), line(102.4, "get_user")[:-1]) == window()


@pytest.mark.parametrize("bad", ["", "{", "[]", '{"t": 102}', '{"t": "x", "name": "y"}'])
def test_a_line_that_cannot_be_read_counts(bad: str) -> None:
    found = with_unwritten_failures(window(), f"{bad}\n")
    assert found.failures_by_name == {UNREADABLE: 1, "get_user": 1}


def test_times_and_latency_stay_as_they_were() -> None:
    found = with_unwritten_failures(window(), line(102.5, "get_user"))
    assert (found.newest, found.end, found.percentile(99)) == (102.0, 102.0, 10.0)
