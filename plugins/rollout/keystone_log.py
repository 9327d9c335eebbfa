"""Read what keystone-manage wrote: errors, and doctor's symptoms."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ERROR = re.compile(r"^\S+ \S+ \d+ (ERROR|CRITICAL)\b")
_UNCAUGHT = re.compile(r"^(Traceback \(most recent call last\)|\S*(Error|Exception): )")
_SYMPTOM = re.compile(r"^WARNING: (.+)$")


def error_lines(lines: Iterable[str]) -> list[str]:
    """Return the lines that say something went wrong, whatever the exit code says."""
    return [line for line in lines if _ERROR.match(line) or _UNCAUGHT.match(line)]


def symptoms(lines: Iterable[str]) -> list[str]:
    """Return the symptoms `keystone-manage doctor` found, each as the line it prints."""
    return [match[1].strip() for line in lines if (match := _SYMPTOM.match(line))]


def unaccepted(found: Iterable[str], accepted: Iterable[str]) -> list[str]:
    """Return the symptoms that no line of the policy accepts; a policy line is a part of them."""
    policy = list(accepted)
    return [symptom for symptom in found if not any(part in symptom for part in policy)]
