"""Count the failed requests of the second in progress, which no sample holds yet.

A sample is written when its second is over, a failed request at once. A gate that went by the
samples alone would let a step begin up to two seconds after the first failure.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from keystone_rollout.domain.load.samples import Window

UNREADABLE = "unreadable line"


def with_unwritten_failures(window: Window, failures: str) -> Window:
    """Return *window* with the failures that ended after its newest sample.

    One in the last half millisecond of a sample may count twice, because times are rounded in the
    file; none is left out.

    :param failures: content of failures.jsonl, one JSON object a line; a line still in the writing
        is left out, any other one that cannot be read counts as a failure
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
        failure: dict[str, Any] = json.loads(line)
        return str(failure["name"]) if float(failure["t"]) >= since else None
    except (ValueError, KeyError, TypeError):
        return UNREADABLE
