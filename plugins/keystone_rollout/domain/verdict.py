"""The answer of a check: measured value, limit, consequence and next step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """The answer of one check, with everything that is needed to act on it.

    A bare boolean loses the reason. The log line, the approval text and the report all print
    this same object, so the operator reads the same words everywhere.

    ``check`` names the question ("load failures"), ``object`` the thing that was looked at
    ("keystone-2"); ``measured`` and ``limit`` carry their units.
    """

    ok: bool
    check: str
    object: str
    measured: str
    limit: str
    consequence: str = ""
    next_step: str = ""
    witness: str = ""
    """Name of the judge, if somebody asks for it later: "load"."""

    def __str__(self) -> str:
        """Return one line: the state, the measured value, the limit, what follows, what to do."""
        state = "ok" if self.ok else "FAILED"
        line = f"{state} {self.check} ({self.object}): measured {self.measured}, limit {self.limit}"
        if self.ok:
            return line
        for label, text in (("Consequence", self.consequence), ("Next", self.next_step)):
            if text:
                line = f"{line.rstrip('.')}. {label}: {text}"
        return line


def failed(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts that are not ok, in their order."""
    return [verdict for verdict in verdicts if not verdict.ok]
