"""Read the output of keystone-manage: errors, and doctor's symptoms."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ERROR = re.compile(r"^\S+ \S+ \d+ (ERROR|CRITICAL)\b")
_UNCAUGHT = re.compile(r"^(Traceback \(most recent call last\)|\S*(Error|Exception): )")
_DATABASE_ERROR = re.compile(r"""\((\d{4}), u?(["'])(.*?)\2\)""")
_SYMPTOM = re.compile(r"^WARNING: (.+)$")


def error_lines(lines: Iterable[str]) -> list[str]:
    """Return the lines that report an error, which may occur with exit status 0, too."""
    return [line for line in lines if _ERROR.match(line) or _UNCAUGHT.match(line)]


LOCK_WAIT_TIMEOUT = 1205
HALF_DONE = frozenset({1022, 1050, 1051, 1060, 1061, 1062, 1091, 1359, 1826})
"""Errors of a statement whose work is done already.

A table, column, key, row, trigger or foreign key that should be made exists; one that should be
dropped is gone.
"""


def database_errors(lines: Iterable[str]) -> dict[int, str]:
    """Return the database server's errors: number and text, in their order."""
    found: dict[int, str] = {}
    for line in lines:
        for number, _quote, text in _DATABASE_ERROR.findall(line):
            found.setdefault(int(number), text)
    return found


def symptoms(lines: Iterable[str]) -> list[str]:
    """Return the symptoms `keystone-manage doctor` found, each as the line it prints."""
    return [match[1].strip() for line in lines if (match := _SYMPTOM.match(line))]


def unaccepted(found: Iterable[str], accepted: Iterable[str]) -> list[str]:
    """Return the symptoms that no line of the policy accepts; a policy line is a part of them."""
    policy = list(accepted)
    return [symptom for symptom in found if not any(part in symptom for part in policy)]
