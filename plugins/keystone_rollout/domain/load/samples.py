"""Read the load's samples: one JSON line per second, merged into windows."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


class SampleError(ValueError):
    """A line of the samples that cannot be read."""


@dataclass(frozen=True)
class Sample:
    """The requests of the second that began at epoch second ``t``.

    ``ms`` maps response time buckets (milliseconds, two significant digits) to request counts;
    ``longest_gap`` is the longest time in seconds between two consecutive successes, if the later
    one ended in this second.
    """

    t: int
    requests: int
    failures: int
    users: int
    last_success: float | None
    longest_gap: float
    ms: Mapping[float, int]
    by_name: Mapping[str, tuple[int, int]]

    def to_line(self) -> str:
        """Return the sample as the line that ``parse_samples`` reads, without a newline."""
        fields = {
            "t": self.t,
            "requests": self.requests,
            "failures": self.failures,
            "users": self.users,
            "last_success": self.last_success,
            "longest_gap": self.longest_gap,
            "ms": {f"{bucket:g}": count for bucket, count in sorted(self.ms.items())},
            "by_name": {name: list(counts) for name, counts in sorted(self.by_name.items())},
        }
        return json.dumps(fields, separators=(",", ":"))


def response_time_bucket(milliseconds: float) -> float:
    """Round a response time to two significant digits, which is at most 5 % off."""
    return float(f"{max(milliseconds, 0.01):.2g}")


@dataclass(frozen=True)
class Window:
    """The merged samples of the time from ``start`` to ``end`` (epoch seconds).

    ``newest`` is the end of the last sample, or None without any sample.
    """

    start: float
    end: float
    requests: int = 0
    failures: int = 0
    newest: float | None = None
    last_success: float | None = None
    longest_gap: float = 0.0
    ms: Mapping[float, int] = field(default_factory=dict)
    by_name: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Return the length of the window."""
        return max(self.end - self.start, 0.0)

    @property
    def rate(self) -> float:
        """Return requests per second over the whole window, silent seconds included."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def timed(self) -> int:
        """Return the number of requests with a response time."""
        return sum(self.ms.values())

    @property
    def failures_by_name(self) -> dict[str, int]:
        """Return the number of failures of each action with failures, highest first."""
        failed = {name: counts[1] for name, counts in self.by_name.items() if counts[1]}
        return dict(sorted(failed.items(), key=lambda item: (-item[1], item[0])))

    def percentile(self, percent: float) -> float | None:
        """Return the response time in ms that ``percent`` % of the requests did not exceed.

        Exact within the bucket's 5 %; None if nothing was measured.
        """
        if not 0 < percent <= 100:
            raise ValueError(f"percentile {percent} is not in (0, 100]")
        rank = math.ceil(self.timed * percent / 100)
        seen = 0
        for bucket in sorted(self.ms):
            seen += self.ms[bucket]
            if seen >= rank:
                return bucket
        return None


def parse_samples(text: str, source: str = "samples.jsonl") -> list[Sample]:
    """Return the samples of a file's content.

    The last line may still be being written, so it counts only with its newline. SampleError names
    any other line that cannot be read: a hole in the record is not "no failures".
    """
    complete, newline, _half_written = text.rpartition("\n")
    if not newline:
        return []
    samples = []
    for number, line in enumerate(complete.split("\n"), start=1):
        try:
            samples.append(_sample(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SampleError(
                f"{source} line {number} is not a sample ({type(error).__name__}: {error}): "
                f"read {line[:80]!r}. The load cannot be judged with a hole in its record; "
                "start the load again in a directory of its own."
            ) from None
    return samples


def _sample(fields: Mapping[str, Any]) -> Sample:
    last_success = fields["last_success"]
    return Sample(
        t=int(fields["t"]),
        requests=int(fields["requests"]),
        failures=int(fields["failures"]),
        users=int(fields["users"]),
        last_success=None if last_success is None else float(last_success),
        longest_gap=float(fields["longest_gap"]),
        ms={float(bucket): int(count) for bucket, count in fields["ms"].items()},
        by_name={name: (int(n), int(failed)) for name, (n, failed) in fields["by_name"].items()},
    )


def merge(
    samples: Sequence[Sample], *, start: float | None = None, end: float | None = None
) -> Window:
    """Merge the samples from ``start`` to ``end`` (epoch seconds; default: all of them).

    The second in which ``start`` lies is included whole: two adjoining windows may count a
    second twice, but never leave one out. A window that ends later than its last success has
    that silence in its ``longest_gap``.
    """
    first = math.floor(start) if start is not None else None
    chosen = [
        sample
        for sample in samples
        if (first is None or sample.t >= first) and (end is None or sample.t < end)
    ]
    begin = start if start is not None else float(chosen[0].t if chosen else end or 0)
    newest = max((sample.t + 1.0 for sample in chosen), default=None)
    finish = end if end is not None else max(newest or begin, begin)
    return Window(
        start=begin,
        end=finish,
        requests=sum(sample.requests for sample in chosen),
        failures=sum(sample.failures for sample in chosen),
        newest=newest,
        last_success=_last_success(chosen),
        longest_gap=_longest_gap(chosen, begin, finish),
        ms=_add_up(sample.ms for sample in chosen),
        by_name=_by_name(chosen),
    )


def under_load(samples: Sequence[Sample]) -> list[Sample]:
    """Return a session's samples without its end, when no user was left: it is not a silence."""
    last = max((i for i, each in enumerate(samples) if each.users or each.requests), default=-1)
    return list(samples[: last + 1])


def _last_success(samples: Iterable[Sample]) -> float | None:
    return max((s.last_success for s in samples if s.last_success is not None), default=None)


def _longest_gap(samples: Sequence[Sample], start: float, end: float) -> float:
    closed = max((sample.longest_gap for sample in samples), default=0.0)
    # A success within the second of `end` may not be written yet: that second is not a silence.
    still_open = math.floor(end) - max(_last_success(samples) or start, start)
    return round(max(closed, still_open, 0.0), 3)


def _add_up(counts: Iterable[Mapping[float, int]]) -> dict[float, int]:
    total: Counter[float] = Counter()
    for part in counts:
        total.update(part)
    return dict(total)


def _by_name(samples: Iterable[Sample]) -> dict[str, tuple[int, int]]:
    total: dict[str, tuple[int, int]] = {}
    for sample in samples:
        for name, (requests, failures) in sample.by_name.items():
            before = total.get(name, (0, 0))
            total[name] = (before[0] + requests, before[1] + failures)
    return total


UNREADABLE = "unreadable line"


def with_unwritten_failures(window: Window, failures: str) -> Window:
    """Return *window* with the failures that ended after its newest sample.

    A failure in the last half millisecond of a sample may count twice, because times are rounded in
    the file; none is left out.

    :param failures: content of failures.jsonl, one JSON object a line; a line that is still being
        written is left out; any other unreadable one counts as a failure
    """
    since = window.newest or 0.0
    found = Counter(
        name
        for line in failures.split("\n")[:-1]
        if (name := _failed_since(line, since)) is not None
    )
    if not found:
        return window
    by_name = dict(window.by_name)
    for name, count in found.items():
        requests, failed = by_name.get(name, (0, 0))
        by_name[name] = (requests + count, failed + count)
    number = found.total()
    return replace(
        window,
        requests=window.requests + number,
        failures=window.failures + number,
        by_name=by_name,
    )


def _failed_since(line: str, since: float) -> str | None:
    """Return the action of a failure that ended at *since* or later."""
    try:
        failure = json.loads(line)
        return str(failure["name"]) if float(failure["t"]) >= since else None
    except (ValueError, KeyError, TypeError):
        return UNREADABLE
